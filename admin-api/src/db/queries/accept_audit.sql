-- One entry for each membership that accept_memberships.sql is about to make. ?1 address · ?2 now
-- ?3 request id
INSERT INTO audit (id, at, actor, action, result, entity, entity_id, team_id, after, request_id)
SELECT 'aud_' || lower(hex(randomblob(12))), ?2, u.id, 'accept-invitation', 'done', 'user', u.id, t.team_id,
    json_object('role', t.role, 'invitation', i.id, 'invited_by', i.invited_by), ?3
FROM invitations AS i JOIN invitation_teams AS t ON t.invitation_id = i.id
    JOIN teams ON teams.id = t.team_id AND teams.deleted_at IS NULL
    JOIN users AS u ON u.email = i.email COLLATE NOCASE AND u.email_verified = 1 AND u.deleted_at IS NULL
WHERE i.email = ?1 COLLATE NOCASE AND i.state = 'pending' AND i.expires_at > ?2
    AND NOT EXISTS (SELECT 1 FROM memberships AS m WHERE m.user_id = u.id AND m.team_id = t.team_id)
