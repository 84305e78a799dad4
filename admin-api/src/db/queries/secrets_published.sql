-- ?1 ids of tokens as JSON · ?2 time before which ended secrets are left out: KV has them as ended, or no longer
SELECT token_id, hash, ends_at
FROM token_secrets
WHERE token_id IN (SELECT value FROM json_each(?1)) AND (ends_at IS NULL OR ends_at > ?2)
