-- Revokes open invitations of which no part is valid. ?1 invited addresses, ?2 inviters: both as JSON
UPDATE invitations SET state = 'revoked'
WHERE id IN (
    SELECT id FROM invitations WHERE state IN ('pending', 'expired') AND email IN (SELECT value FROM json_each(?1))
    UNION ALL
    SELECT id FROM invitations WHERE state IN ('pending', 'expired') AND invited_by IN (SELECT value FROM json_each(?2)))
    AND NOT EXISTS (SELECT 1 FROM invitation_parts AS p WHERE p.invitation_id = invitations.id AND p.stands)
