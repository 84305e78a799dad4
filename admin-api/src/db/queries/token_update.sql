-- ?8 is the version that was read: of two writers the second changes nothing.
UPDATE tokens
SET name = ?2, description = ?3, scopes = ?4, ip_allow = ?5, expires_at = ?6, updated_at = ?7, version = version + 1
WHERE id = ?1 AND version = ?8 AND revoked_at IS NULL
