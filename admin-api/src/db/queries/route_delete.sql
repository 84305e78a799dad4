-- Not while another route fails over to it. ?2 the version that `If-Match` named, or NULL
DELETE FROM routes
WHERE id = ?1 AND (?2 IS NULL OR version = ?2)
    AND NOT EXISTS (SELECT 1 FROM routes AS other WHERE other.settings ->> '$.failover.route_id' = ?1)
