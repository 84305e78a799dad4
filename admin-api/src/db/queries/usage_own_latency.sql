-- Without the hint SQLite walks the whole granularity, having no statistics to know better.
SELECT u.token_id AS key, u.bin, sum(u.count) AS count
FROM usage_latency AS u INDEXED BY usage_latency_by_token
WHERE u.token_id = ?1 AND u.granularity = 'day'
GROUP BY u.bin
