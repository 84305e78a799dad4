-- Whoever has the address, verified, becomes a member as invited; of two roles in a team the higher
-- stays. Who gave the invitation could have raised him as well: what that takes goes by the higher role.
-- ?1 address · ?2 now
INSERT INTO memberships (user_id, team_id, role, created_at)
SELECT user_id, team_id, role, ?2
FROM (SELECT u.id AS user_id, t.team_id, t.role, max(instr('VIEWER DEVELOPER MANAGER ADMIN', t.role))
    FROM invitations AS i JOIN invitation_teams AS t ON t.invitation_id = i.id
        JOIN teams ON teams.id = t.team_id AND teams.deleted_at IS NULL
        JOIN users AS u ON u.email = i.email COLLATE NOCASE AND u.email_verified = 1 AND u.deleted_at IS NULL
    WHERE i.email = ?1 COLLATE NOCASE AND i.state = 'pending' AND i.expires_at > ?2
    GROUP BY u.id, t.team_id)
WHERE true
ON CONFLICT (user_id, team_id) DO UPDATE SET role = excluded.role
WHERE instr('VIEWER DEVELOPER MANAGER ADMIN', excluded.role) > instr('VIEWER DEVELOPER MANAGER ADMIN', memberships.role)
