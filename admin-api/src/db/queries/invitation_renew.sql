UPDATE invitations SET state = 'pending', expires_at = ?2, sent_at = NULL, tried_at = NULL, last_error = NULL
WHERE id = ?1 AND state IN ('pending', 'expired')
