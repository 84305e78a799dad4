-- ?13 the version that was read: of two simultaneous writes, the second changes nothing · ?14 the second upstream, or
-- NULL · ?15 whether that may have a credential, which this route's calls would use
UPDATE routes
SET name = ?2, backend_url = ?3, description = ?4, tags = ?5, methods = ?6, enabled = ?7, timeout_ms = ?8,
    cors_origins = ?9, forward_cookies = ?10, settings = ?11, updated_at = ?12, version = version + 1
WHERE id = ?1 AND version = ?13
    AND (?14 IS NULL OR EXISTS (SELECT 1 FROM routes AS o LEFT JOIN credentials AS c ON c.route_id = o.id
        WHERE o.id = ?14 AND (?15 OR c.route_id IS NULL)))
