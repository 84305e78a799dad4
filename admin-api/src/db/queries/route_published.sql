-- One route as published to the gateway, enabled or not.
SELECT routes.id, routes.path, routes.backend_url, routes.tags, routes.methods, routes.timeout_ms,
    routes.cors_origins, routes.forward_cookies, routes.settings, c.sealed
FROM routes LEFT JOIN credentials AS c ON c.route_id = routes.id
WHERE routes.id = ?1
