-- Credentials that are not sealed under the key ?1, and not known to be beyond every key.
SELECT route_id, origin, sealed FROM credentials
WHERE sealed_under NOT IN (?1, '!' || ?1)
ORDER BY route_id
LIMIT ?2
