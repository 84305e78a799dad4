-- `tried_at` ?3 as in invitation_insert.sql.
UPDATE invitations SET state = 'pending', expires_at = ?2, sent_at = NULL, tried_at = ?3, last_error = NULL
WHERE id = ?1 AND state IN ('pending', 'expired')
