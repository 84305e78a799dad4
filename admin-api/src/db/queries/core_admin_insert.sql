-- Only while the core team has no admin: other admins may later remove the person permanently.
INSERT INTO memberships (user_id, team_id, role, created_at)
SELECT ?1, 'core-team', 'ADMIN', ?2
WHERE NOT EXISTS (SELECT 1 FROM memberships AS m JOIN users AS u ON u.id = m.user_id
    WHERE m.team_id = 'core-team' AND m.role = 'ADMIN' AND u.deleted_at IS NULL)
ON CONFLICT (user_id, team_id) DO UPDATE SET role = 'ADMIN'
