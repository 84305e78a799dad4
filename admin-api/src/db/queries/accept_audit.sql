-- One entry for each role that accept_memberships.sql is about to give. ?1 addresses as JSON · ?2 now
-- ?3 request id · ?4 only people who are in one of these teams, as JSON, NULL means all
INSERT INTO audit (id, at, actor, action, result, entity, entity_id, team_id, before, after, request_id)
SELECT 'aud_' || lower(hex(randomblob(12))), ?2, user_id, 'accept-invitation', 'done', 'user', user_id, team_id,
    iif(present IS NULL, NULL, json_object('role', present)),
    json_object('role', role, 'invitation', invitation, 'invited_by', invited_by), ?3
FROM (SELECT u.id AS user_id, p.team_id, p.role, p.invitation_id AS invitation, p.invited_by, m.role AS present,
        max(instr('VIEWER DEVELOPER MANAGER ADMIN', p.role)) AS rank
    FROM invitation_parts AS p
        JOIN teams ON teams.id = p.team_id AND teams.deleted_at IS NULL
        JOIN users AS u ON u.email = p.email COLLATE NOCASE AND u.email_verified = 1 AND u.deleted_at IS NULL
        LEFT JOIN memberships AS m ON m.user_id = u.id AND m.team_id = p.team_id
    WHERE p.email IN (SELECT value FROM json_each(?1)) AND p.state = 'pending' AND p.expires_at > ?2 AND p.stands
        AND (?4 IS NULL OR EXISTS (SELECT 1 FROM memberships AS s
            WHERE s.user_id = u.id AND s.team_id IN (SELECT value FROM json_each(?4))))
    GROUP BY u.id, p.team_id)
WHERE present IS NULL OR rank > instr('VIEWER DEVELOPER MANAGER ADMIN', present)
