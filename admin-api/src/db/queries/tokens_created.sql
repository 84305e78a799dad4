-- ?1 teams as JSON, NULL means all · ?2 since
SELECT created_at / 86400000 * 86400000 AS day, count(*) AS tokens
FROM tokens
WHERE created_at >= ?2 AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))
GROUP BY 1
ORDER BY 1
