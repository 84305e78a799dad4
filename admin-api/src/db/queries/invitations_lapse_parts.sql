-- Removes the parts that their inviters could no longer give from the remaining open invitations. ?1 invited
-- addresses, ?2 inviters: both as JSON
DELETE FROM invitation_teams
WHERE (invitation_id, team_id) IN (SELECT p.invitation_id, p.team_id FROM invitation_parts AS p
    WHERE NOT p.stands AND p.invitation_id IN (
        SELECT id FROM invitations WHERE state IN ('pending', 'expired') AND email IN (SELECT value FROM json_each(?1))
        UNION ALL
        SELECT id FROM invitations WHERE state IN ('pending', 'expired') AND invited_by IN (SELECT value FROM json_each(?2))))
