-- Newest first. ?1 teams as JSON: only invitations into one of them, and only these teams are shown; NULL means all
-- ?2 state: NULL means all
-- ?3, ?4 time and id of the last row seen · ?5 limit
SELECT i.id, i.email, i.state, i.clerk_id, i.sent_at, i.invited_by, i.created_at, i.expires_at, i.accepted_at,
    i.last_error,
    (SELECT json_group_array(json_object('team_id', t.team_id, 'team_name', teams.name, 'role', t.role))
        FROM invitation_teams AS t JOIN teams ON teams.id = t.team_id WHERE t.invitation_id = i.id
            AND (?1 IS NULL OR t.team_id IN (SELECT value FROM json_each(?1)))) AS teams
FROM invitations AS i
WHERE (i.created_at, i.id) < (?3, ?4)
    AND (?1 IS NULL OR EXISTS (SELECT 1 FROM invitation_teams AS t
        WHERE t.invitation_id = i.id AND t.team_id IN (SELECT value FROM json_each(?1))))
    AND (?2 IS NULL OR i.state = ?2)
ORDER BY i.created_at DESC, i.id DESC
LIMIT ?5
