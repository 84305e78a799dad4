-- A rotation changes the token's secrets, which also increments its version. ?3 as in token_disable.sql
UPDATE tokens SET updated_at = ?2, version = version + 1
WHERE id = ?1 AND revoked_at IS NULL AND (?3 IS NULL OR version = ?3)
