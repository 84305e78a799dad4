-- As in usage_hourly_add.sql, a row per latency bin, for hours and days at once. Denied and limited
-- calls have no latency to speak of.
INSERT INTO usage_latency (granularity, bucket_start, token_id, route_id, team_id, bin, count)
SELECT g.column1, e.at - e.at % g.column2, e.token_id, e.route_id, e.team_id, e.bin, count(*)
FROM (
    SELECT
        value ->> 'id' AS id, value ->> 'at' AS at, value ->> 'token_id' AS token_id,
        value ->> 'route_id' AS route_id, value ->> 'team_id' AS team_id, value ->> 'class' AS class,
        value ->> 'bin' AS bin
    FROM json_each(?1)) AS e
CROSS JOIN (VALUES ('hour', 3600000), ('day', 86400000)) AS g
WHERE e.class NOT IN ('denied', 'limited')
    AND NOT EXISTS (SELECT 1 FROM usage_events AS seen WHERE seen.id = e.id)
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (granularity, bucket_start, token_id, route_id, team_id, bin)
DO UPDATE SET count = count + excluded.count
