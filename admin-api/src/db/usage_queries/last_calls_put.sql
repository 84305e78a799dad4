-- ?1 routes, teams and times as JSON
INSERT INTO last_calls (route_id, team_id, at)
SELECT value ->> 'route', value ->> 'team', value ->> 'at' FROM json_each(?1) WHERE true
ON CONFLICT (route_id, team_id) DO UPDATE SET at = excluded.at WHERE excluded.at > at
