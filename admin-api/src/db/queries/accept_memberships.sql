-- Makes people with an invited and verified address members as invited, if the inviter could still give the role;
-- of two roles in a team the higher one stays. ?1 addresses as JSON · ?2 now · ?3 only people who are in one of these
-- teams, as JSON, NULL means all
INSERT INTO memberships (user_id, team_id, role, created_at)
SELECT user_id, team_id, role, ?2
FROM (SELECT u.id AS user_id, p.team_id, p.role, max(instr('VIEWER DEVELOPER MANAGER ADMIN', p.role))
    FROM invitation_parts AS p
        JOIN teams ON teams.id = p.team_id AND teams.deleted_at IS NULL
        JOIN users AS u ON u.email = p.email COLLATE NOCASE AND u.email_verified = 1 AND u.deleted_at IS NULL
    WHERE p.email IN (SELECT value FROM json_each(?1)) AND p.state = 'pending' AND p.expires_at > ?2 AND p.stands
        AND (?3 IS NULL OR EXISTS (SELECT 1 FROM memberships AS s
            WHERE s.user_id = u.id AND s.team_id IN (SELECT value FROM json_each(?3))))
    GROUP BY u.id, p.team_id)
WHERE true
ON CONFLICT (user_id, team_id) DO UPDATE SET role = excluded.role
WHERE instr('VIEWER DEVELOPER MANAGER ADMIN', excluded.role) > instr('VIEWER DEVELOPER MANAGER ADMIN', memberships.role)
