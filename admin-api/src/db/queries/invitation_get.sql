SELECT i.id, i.email, i.state, i.clerk_id, i.sent_at, i.invited_by, i.created_at, i.expires_at, i.accepted_at,
    i.last_error,
    (SELECT json_group_array(json_object('team_id', t.team_id, 'team_name', teams.name, 'role', t.role))
        FROM invitation_teams AS t JOIN teams ON teams.id = t.team_id WHERE t.invitation_id = i.id) AS teams
FROM invitations AS i
WHERE i.id = ?1
