-- ?1 from, ?2 to (exclusive) · ?3 teams as JSON, ?4 token, ?5 route: NULL is all · ?6 hour or day
SELECT u.token_id AS key, u.bin, sum(u.count) AS count
FROM usage_latency AS u
WHERE u.granularity = ?6 AND u.bucket_start >= ?1 AND u.bucket_start < ?2 AND (?3 IS NULL OR u.team_id IN (SELECT value FROM json_each(?3)))
    AND (?4 IS NULL OR u.token_id = ?4)
    AND (?5 IS NULL OR u.route_id = ?5)
GROUP BY u.token_id, u.bin
