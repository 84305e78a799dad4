-- One entry for each role that accept_memberships.sql is about to give. ?1 address · ?2 now
-- ?3 request id
INSERT INTO audit (id, at, actor, action, result, entity, entity_id, team_id, before, after, request_id)
SELECT 'aud_' || lower(hex(randomblob(12))), ?2, user_id, 'accept-invitation', 'done', 'user', user_id, team_id,
    iif(present IS NULL, NULL, json_object('role', present)),
    json_object('role', role, 'invitation', invitation, 'invited_by', invited_by), ?3
FROM (SELECT u.id AS user_id, t.team_id, t.role, i.id AS invitation, i.invited_by, m.role AS present,
        max(instr('VIEWER DEVELOPER MANAGER ADMIN', t.role)) AS rank
    FROM invitations AS i JOIN invitation_teams AS t ON t.invitation_id = i.id
        JOIN teams ON teams.id = t.team_id AND teams.deleted_at IS NULL
        JOIN users AS u ON u.email = i.email COLLATE NOCASE AND u.email_verified = 1 AND u.deleted_at IS NULL
        LEFT JOIN memberships AS m ON m.user_id = u.id AND m.team_id = t.team_id
    WHERE i.email = ?1 COLLATE NOCASE AND i.state = 'pending' AND i.expires_at > ?2
    GROUP BY u.id, t.team_id)
WHERE present IS NULL OR rank > instr('VIEWER DEVELOPER MANAGER ADMIN', present)
