SELECT u.token_id AS key, u.bin, sum(u.count) AS count
FROM usage_latency AS u
WHERE u.token_id = ?1 AND u.granularity = 'day'
GROUP BY u.bin
