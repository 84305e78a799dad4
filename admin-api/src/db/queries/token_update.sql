-- ?11 the version that was read: of two simultaneous writes, the second changes nothing.
UPDATE tokens
SET name = ?2, description = ?3, scopes = ?4, ip_allow = ?5, limits = ?6, inject_faults = ?7, may_derive = ?8, expires_at = ?9,
    updated_at = ?10, version = version + 1
WHERE id = ?1 AND version = ?11 AND revoked_at IS NULL
