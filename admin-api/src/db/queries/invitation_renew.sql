-- The person who sends it again becomes its inviter. `tried_at` ?3 as in invitation_insert.sql · ?4 the sender
UPDATE invitations SET state = 'pending', expires_at = ?2, sent_at = NULL, tried_at = ?3, last_error = NULL, invited_by = ?4
WHERE id = ?1 AND state IN ('pending', 'expired')
