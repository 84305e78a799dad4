-- The routes as published to the gateway, with the sealed credentials.
SELECT routes.id, routes.path, routes.backend_url, routes.tags, routes.methods, routes.timeout_ms,
    routes.cors_origins, routes.forward_cookies, routes.settings, c.sealed
FROM routes LEFT JOIN credentials AS c ON c.route_id = routes.id
WHERE routes.enabled = 1
ORDER BY routes.path
