INSERT INTO memberships (user_id, team_id, role, created_at) VALUES (?1, 'core-team', 'ADMIN', ?2)
ON CONFLICT (user_id, team_id) DO UPDATE SET role = 'ADMIN'
