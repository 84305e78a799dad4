-- Newest first, in the order of the index on team. ?1 from · ?2 teams as JSON, ?3 token, ?4 route,
-- ?5 outcome, ?6 status class, ?7 method, ?8 beginning of the path, ?12 team: NULL means all · ?9, ?10 time and id
-- of the last row seen · ?11 limit · ?13 the most calls to read
SELECT c.id, c.at, c.token_id, (SELECT t.name FROM tokens AS t WHERE t.id = c.token_id) AS token_name, c.team_id,
    nullif(c.route_id, '') AS route_id, c.route_path, c.method, c.path, c.status, c.outcome, c.latency_ms, c.gateway_ms,
    c.bytes_in, c.bytes_out, c.client_ip, c.user_agent, c.country, c.request_id, c.model, c.prompt_tokens,
    c.completion_tokens, c.cached_tokens, c.cache_write_tokens, c.reasoning_tokens, c.cost_micros, c.duration_ms
FROM (SELECT * FROM usage_events
    WHERE team_id = ?12 AND at >= ?1 AND (at, id) < (?9, ?10)
    ORDER BY at DESC, id DESC LIMIT ?13) AS c
WHERE true
    AND (?2 IS NULL OR c.team_id IN (SELECT value FROM json_each(?2)))
    AND (?3 IS NULL OR c.token_id = ?3)
    AND (?4 IS NULL OR c.route_id = ?4)
    AND (?5 IS NULL OR c.outcome = ?5)
    AND (?6 IS NULL OR c.status / 100 = ?6)
    AND (?7 IS NULL OR c.method = ?7)
    AND (?8 IS NULL OR substr(c.path, 1, length(?8)) = ?8)
ORDER BY c.at DESC, c.id DESC
LIMIT ?11
