-- ?1 ids as JSON
SELECT id, object, body FROM segments WHERE id IN (SELECT value FROM json_each(?1))
