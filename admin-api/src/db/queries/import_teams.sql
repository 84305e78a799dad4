INSERT INTO teams (id, name, description, created_at, updated_at)
SELECT value ->> 'id', value ->> 'name', value ->> 'description', ?2, ?2 FROM json_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
