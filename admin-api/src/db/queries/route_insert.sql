INSERT INTO routes (id, name, path, backend_url, description, tags, methods, enabled, timeout_ms, cors_origins, forward_cookies, settings, created_by, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14)
