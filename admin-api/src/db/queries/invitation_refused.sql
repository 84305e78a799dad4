-- Clerk does not accept it and never would: ?2 says why.
UPDATE invitations SET state = 'revoked', tried_at = ?3, last_error = ?2
WHERE id = ?1 AND state = 'pending'
