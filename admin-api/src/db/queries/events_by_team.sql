-- Newest first, in the order of the index on team. ?1 from · ?2 teams as JSON, ?3 token, ?4 route,
-- ?5 outcome, ?6 status class, ?7 method, ?8 head of the path, ?12 team: NULL is all · ?9, ?10 time and id
-- of the last row seen · ?11 limit · ?13 how many calls are looked at
SELECT e.id, e.at, e.token_id, (SELECT t.name FROM tokens AS t WHERE t.id = e.token_id) AS token_name, e.team_id,
    nullif(e.route_id, '') AS route_id, e.route_path, e.method, e.path, e.status, e.outcome, e.latency_ms, e.gateway_ms,
    e.bytes_in, e.bytes_out, e.client_ip, e.user_agent, e.country, e.request_id, e.model, e.prompt_tokens,
    e.completion_tokens, e.cached_tokens, e.cache_write_tokens, e.reasoning_tokens, e.cost_micros, e.duration_ms
FROM (SELECT * FROM usage_events
    WHERE team_id = ?12 AND at >= ?1 AND (at, id) < (?9, ?10)
    ORDER BY at DESC, id DESC LIMIT ?13) AS e
WHERE true
    AND (?2 IS NULL OR e.team_id IN (SELECT value FROM json_each(?2)))
    AND (?3 IS NULL OR e.token_id = ?3)
    AND (?4 IS NULL OR e.route_id = ?4)
    AND (?5 IS NULL OR e.outcome = ?5)
    AND (?6 IS NULL OR e.status / 100 = ?6)
    AND (?7 IS NULL OR e.method = ?7)
    AND (?8 IS NULL OR substr(e.path, 1, length(?8)) = ?8)
ORDER BY e.at DESC, e.id DESC
LIMIT ?11
