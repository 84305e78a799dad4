-- A token whose hash already exists is not made again.
INSERT INTO tokens (id, name, team_id, description, scopes, expires_at, disabled_at, created_by, created_at, updated_at)
SELECT value ->> 'id', value ->> 'name', value ->> 'team', value ->> 'description', value -> 'scopes',
    value ->> 'expires_at', iif(value ->> 'is_disabled', ?2, NULL), ?3, coalesce(value ->> 'created_at', ?2), ?2
FROM json_each(?1)
WHERE NOT EXISTS (SELECT 1 FROM token_secrets AS s WHERE s.hash = value ->> 'hash')
ON CONFLICT (id) DO NOTHING
