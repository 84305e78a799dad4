SELECT id, at, method, path, route_path, status, outcome, latency_ms, request_id
FROM usage_events
WHERE token_id = ?1
ORDER BY at DESC, id DESC
LIMIT ?2
