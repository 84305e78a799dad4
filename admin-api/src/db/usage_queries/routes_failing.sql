-- Routes at whose upstream more than a fifth of the calls since ?1, and at least five, failed. Only calls that
-- reached an upstream count.
SELECT key AS id, sum(calls - denied - limited) AS calls, sum(upstream_errors + timeouts + gateway_errors) AS failed
FROM rollups WHERE dimension = 'route' AND granularity = '5m' AND bucket >= ?1
GROUP BY key HAVING failed >= 5 AND failed * 5 > sum(calls - denied - limited)
