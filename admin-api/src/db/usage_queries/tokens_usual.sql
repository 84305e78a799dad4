-- What tokens used in some hours. ?1 keys and starts of hours as JSON
SELECT r.key, r.bucket AS at, r.calls, r.cost_micros AS micros
FROM json_each(?1) AS wanted CROSS JOIN rollups AS r
WHERE r.dimension = 'token' AND r.granularity = 'hour' AND r.bucket = wanted.value ->> 1 AND r.key = wanted.value ->> 0
