INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, legacy, created_at)
SELECT value ->> 'hash', value ->> 'id', 'ntk_', '', 1, coalesce(value ->> 'created_at', ?2) FROM json_each(?1)
WHERE EXISTS (SELECT 1 FROM tokens AS t WHERE t.id = value ->> 'id')
ON CONFLICT (hash) DO NOTHING
