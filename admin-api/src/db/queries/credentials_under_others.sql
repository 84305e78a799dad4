-- Credentials, and receivers of channels (which have no origin), that are not sealed under the key ?1, and not marked as
-- opened by no key: three searches around these two values, which usually find nothing. '!' sorts before every fingerprint.
-- There are few channels.
SELECT route_id AS id, origin, sealed FROM credentials WHERE sealed_under < '!' || ?1
UNION ALL
SELECT route_id, origin, sealed FROM credentials WHERE sealed_under > '!' || ?1 AND sealed_under < ?1
UNION ALL
SELECT route_id, origin, sealed FROM credentials WHERE sealed_under > ?1
UNION ALL
SELECT id, NULL, sealed FROM channels WHERE sealed_under NOT IN (?1, '!' || ?1)
LIMIT ?2
