-- ?13 is the version that was read: of two writers the second changes nothing.
UPDATE routes
SET name = ?2, backend_url = ?3, description = ?4, tags = ?5, methods = ?6, enabled = ?7, timeout_ms = ?8,
    cors_origins = ?9, forward_cookies = ?10, settings = ?11, updated_at = ?12, version = version + 1
WHERE id = ?1 AND version = ?13
