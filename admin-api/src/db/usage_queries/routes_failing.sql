-- Calls that reached each route's upstream since ?1, and those of them that failed; a row for each five minutes, since
-- adding them up here would need a sort.
SELECT key AS id, bucket AS at, calls - denied - limited AS calls, upstream_errors + timeouts + gateway_errors AS failed
FROM rollups WHERE dimension = 'route' AND granularity = '5m' AND bucket >= ?1
