-- Whoever has the address, verified, becomes a member as invited; a role that he has already stays.
-- ?1 address · ?2 now
INSERT INTO memberships (user_id, team_id, role, created_at)
SELECT u.id, t.team_id, t.role, ?2
FROM invitations AS i JOIN invitation_teams AS t ON t.invitation_id = i.id
    JOIN teams ON teams.id = t.team_id AND teams.deleted_at IS NULL
    JOIN users AS u ON u.email = i.email COLLATE NOCASE AND u.email_verified = 1 AND u.deleted_at IS NULL
WHERE i.email = ?1 COLLATE NOCASE AND i.state = 'pending' AND i.expires_at > ?2
ON CONFLICT (user_id, team_id) DO NOTHING
