SELECT id, version FROM tokens WHERE id IN (SELECT value FROM json_each(?1))
