-- Removes teams ?2 (JSON) from an open invitation that also names others.
DELETE FROM invitation_teams
WHERE invitation_id = ?1 AND team_id IN (SELECT value FROM json_each(?2))
    AND EXISTS (SELECT 1 FROM invitations AS i WHERE i.id = ?1 AND i.state IN ('pending', 'expired'))
