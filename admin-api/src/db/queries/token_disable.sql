-- ?3 the version that `If-Match` named, or NULL
UPDATE tokens SET disabled_at = ?2, disabled_by = ?4, updated_at = ?2, version = version + 1
WHERE id = ?1 AND disabled_at IS NULL AND revoked_at IS NULL AND (?3 IS NULL OR version = ?3)
