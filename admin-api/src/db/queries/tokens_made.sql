-- When tokens (?1, ids as JSON) were made.
SELECT id, created_at FROM tokens WHERE id IN (SELECT value FROM json_each(?1))
