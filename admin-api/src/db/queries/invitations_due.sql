-- Invitations that Clerk should send and that were not tried since ?1.
SELECT id, email FROM invitations
WHERE state = 'pending' AND sent_at IS NULL AND expires_at > ?2 AND (tried_at IS NULL OR tried_at < ?1)
ORDER BY created_at, id
LIMIT ?3
