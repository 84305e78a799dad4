-- Credentials that are not sealed under the key ?1, and not marked as opened by no key: three searches around these
-- two values, which usually find nothing. '!' sorts before every fingerprint.
SELECT route_id, origin, sealed FROM credentials WHERE sealed_under < '!' || ?1
UNION ALL
SELECT route_id, origin, sealed FROM credentials WHERE sealed_under > '!' || ?1 AND sealed_under < ?1
UNION ALL
SELECT route_id, origin, sealed FROM credentials WHERE sealed_under > ?1
LIMIT ?2
