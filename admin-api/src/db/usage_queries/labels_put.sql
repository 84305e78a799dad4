-- ?1 rows as JSON: day, team, token and the JSON of sums
INSERT INTO labels (day, team_id, token_id, sums)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
ON CONFLICT (day, team_id, token_id) DO UPDATE SET sums = excluded.sums
