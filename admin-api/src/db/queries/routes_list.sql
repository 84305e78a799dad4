-- ?1 part of name or path · ?2 tag · ?3 path of the last row seen · ?4 limit
SELECT routes.id, routes.name, routes.path, routes.backend_url, routes.description, routes.tags, routes.methods,
    routes.enabled, routes.timeout_ms, routes.cors_origins, routes.forward_cookies, routes.settings, routes.created_at,
    routes.updated_at, routes.version, c.kind AS credential_kind, c.origin AS credential_origin,
    c.updated_at AS credential_updated_at, c.pool AS credential_pool
FROM routes LEFT JOIN credentials AS c ON c.route_id = routes.id
WHERE routes.path > ?3
    AND (?1 IS NULL OR instr(lower(routes.name), lower(?1)) > 0 OR instr(lower(routes.path), lower(?1)) > 0)
    AND (?2 IS NULL OR ?2 IN (SELECT value FROM json_each(routes.tags)))
ORDER BY routes.path
LIMIT ?4
