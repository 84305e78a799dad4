INSERT INTO routes (id, name, path, backend_url, description, tags, enabled, created_by, created_at, updated_at)
SELECT value ->> 'id', value ->> 'name', value ->> 'path', value ->> 'upstream', value ->> 'description',
    value -> 'tags', value ->> 'enabled', ?3, ?2, ?2
FROM json_each(?1)
WHERE true
ON CONFLICT DO NOTHING
