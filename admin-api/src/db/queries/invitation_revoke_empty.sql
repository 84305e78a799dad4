-- Two who take their parts back at once leave nothing of it.
UPDATE invitations SET state = 'revoked'
WHERE id = ?1 AND state IN ('pending', 'expired')
    AND NOT EXISTS (SELECT 1 FROM invitation_teams AS t WHERE t.invitation_id = ?1)
