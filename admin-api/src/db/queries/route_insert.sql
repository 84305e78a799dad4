-- ?15 the second upstream, or NULL · ?16 whether that may have a credential, which this route's calls would use
INSERT INTO routes (id, name, path, backend_url, description, tags, methods, enabled, timeout_ms, cors_origins, forward_cookies, settings, created_by, created_at, updated_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14
WHERE ?15 IS NULL OR EXISTS (SELECT 1 FROM routes AS o LEFT JOIN credentials AS c ON c.route_id = o.id
    WHERE o.id = ?15 AND (?16 OR c.route_id IS NULL))
