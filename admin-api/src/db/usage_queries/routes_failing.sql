-- Calls that reached each route's upstream since ?1, and those of them that failed.
SELECT key AS id, sum(calls - denied - limited) AS calls, sum(upstream_errors + timeouts + gateway_errors) AS failed
FROM rollups WHERE dimension = 'route' AND granularity = '5m' AND bucket >= ?1
GROUP BY key
