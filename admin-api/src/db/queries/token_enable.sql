UPDATE tokens SET disabled_at = NULL, updated_at = ?2, version = version + 1
WHERE id = ?1 AND disabled_at IS NOT NULL AND revoked_at IS NULL
