SELECT hash, hint_start, hint_end, legacy, created_at, ends_at, last_used_at
FROM token_secrets
WHERE token_id = ?1
ORDER BY created_at DESC
