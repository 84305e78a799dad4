-- Routes whose second upstream route ?1 is, by path.
SELECT path FROM routes WHERE settings ->> '$.failover.route_id' = ?1 ORDER BY path LIMIT 10
