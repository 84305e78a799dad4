-- ?1 ids as JSON
SELECT id, name FROM tokens WHERE id IN (SELECT value FROM json_each(?1))
