UPDATE tokens SET disabled_at = ?2, updated_at = ?2, version = version + 1
WHERE id = ?1 AND disabled_at IS NULL AND revoked_at IS NULL
