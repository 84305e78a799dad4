-- ?1 as in usage_rollups_add.sql; it does not matter here if an event has been seen before.
INSERT INTO usage_pairs (token_id, route_id, team_id, last_at)
SELECT value ->> 'token_id', value ->> 'route_id', value ->> 'team_id', max(value ->> 'at')
FROM json_each(?1)
WHERE true
GROUP BY 1, 2
ON CONFLICT (token_id, route_id) DO UPDATE SET last_at = max(last_at, excluded.last_at)
