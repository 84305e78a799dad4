-- Routes that fail over to route ?1, by path.
SELECT path FROM routes WHERE settings ->> '$.failover.route_id' = ?1 ORDER BY path LIMIT 10
