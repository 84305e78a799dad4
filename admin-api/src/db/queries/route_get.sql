SELECT routes.id, routes.name, routes.path, routes.backend_url, routes.description, routes.tags, routes.methods,
    routes.enabled, routes.timeout_ms, routes.cors_origins, routes.forward_cookies, routes.settings, routes.created_at,
    routes.updated_at, routes.version, c.kind AS credential_kind, c.origin AS credential_origin,
    c.updated_at AS credential_updated_at, c.pool AS credential_pool
FROM routes LEFT JOIN credentials AS c ON c.route_id = routes.id
WHERE routes.id = ?1
