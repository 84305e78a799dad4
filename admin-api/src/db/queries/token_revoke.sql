-- ?3 the version that `If-Match` named, or NULL
UPDATE tokens SET revoked_at = ?2, updated_at = ?2, version = version + 1
WHERE id = ?1 AND revoked_at IS NULL AND (?3 IS NULL OR version = ?3)
