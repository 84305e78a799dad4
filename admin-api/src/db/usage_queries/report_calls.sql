-- All calls of all time, up to the last week that is over. The rows of all calls say which weeks there are.
-- ?1 dimension: all or team · ?2 keys as JSON
SELECT coalesce(sum(r.calls), 0) AS calls
FROM rollups AS weeks CROSS JOIN json_each(?2) AS keys CROSS JOIN rollups AS r
WHERE weeks.dimension = 'all' AND weeks.granularity = 'week'
    AND r.dimension = ?1 AND r.granularity = 'week' AND r.bucket = weeks.bucket AND r.key = keys.value
