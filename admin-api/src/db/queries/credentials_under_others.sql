-- Credentials that are not sealed under the key ?1, and not known to be beyond every key: three searches around the
-- two values, which find nothing on most days. '!' sorts before every fingerprint.
SELECT route_id, origin, sealed FROM credentials WHERE sealed_under < '!' || ?1
UNION ALL
SELECT route_id, origin, sealed FROM credentials WHERE sealed_under > '!' || ?1 AND sealed_under < ?1
UNION ALL
SELECT route_id, origin, sealed FROM credentials WHERE sealed_under > ?1
LIMIT ?2
