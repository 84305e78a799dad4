-- The bodies of segments, with the version at which they are read. ?1 ids as JSON
SELECT id, object, body, (SELECT version FROM state) AS version
FROM segments WHERE id IN (SELECT value FROM json_each(?1))
