-- All but the calls, which are in the other database. ?1 teams as JSON, NULL means all · ?2 now
SELECT
    (SELECT count(*) FROM tokens WHERE revoked_at IS NULL AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))) AS tokens,
    (SELECT count(*) FROM tokens WHERE revoked_at IS NULL AND disabled_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
        AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))) AS tokens_active,
    (SELECT count(*) FROM tokens WHERE revoked_at IS NULL AND disabled_at IS NOT NULL
        AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))) AS tokens_disabled,
    (SELECT count(*) FROM tokens WHERE revoked_at IS NULL AND disabled_at IS NULL AND expires_at <= ?2
        AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))) AS tokens_expired,
    (SELECT count(*) FROM tokens WHERE revoked_at IS NOT NULL
        AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))) AS tokens_revoked,
    (SELECT count(*) FROM routes) AS routes,
    (SELECT count(*) FROM teams WHERE deleted_at IS NULL AND (?1 IS NULL OR id IN (SELECT value FROM json_each(?1)))) AS teams,
    iif(?1 IS NULL,
        (SELECT count(*) FROM users WHERE deleted_at IS NULL),
        (SELECT count(DISTINCT m.user_id) FROM memberships AS m JOIN users AS u ON u.id = m.user_id
            WHERE u.deleted_at IS NULL AND m.team_id IN (SELECT value FROM json_each(?1)))) AS people,
    0 AS calls
