-- Revokes an invitation without parts, which is left if two people remove their parts at once.
UPDATE invitations SET state = 'revoked'
WHERE id = ?1 AND state IN ('pending', 'expired')
    AND NOT EXISTS (SELECT 1 FROM invitation_teams AS t WHERE t.invitation_id = ?1)
