-- A rotation changes the key's secrets, which also increments its version. ?2 its new end, NULL keeps it · ?3 the
-- version that the caller asks for, if any
UPDATE api_keys SET expires_at = coalesce(?2, expires_at), version = version + 1
WHERE id = ?1 AND revoked_at IS NULL AND (?3 IS NULL OR version = ?3)
