-- Whether there is anything yet. ?1 teams as JSON, NULL means all
SELECT
    (SELECT count(*) FROM tokens WHERE revoked_at IS NULL AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))) AS tokens,
    (SELECT count(*) FROM routes) AS routes
