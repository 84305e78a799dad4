-- When each route was last called, up to the last five minutes that are over. ?1 teams as JSON, NULL means all
SELECT route_id, max(at) AS at
FROM last_calls
WHERE ?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1))
GROUP BY route_id
