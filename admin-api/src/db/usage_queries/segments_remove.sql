-- ?1 ids as JSON
DELETE FROM segments WHERE id IN (SELECT value FROM json_each(?1))
