-- ?3 the version that the caller asks for, if any
UPDATE api_keys SET revoked_at = ?2, version = version + 1
WHERE id = ?1 AND revoked_at IS NULL AND (?3 IS NULL OR version = ?3)
