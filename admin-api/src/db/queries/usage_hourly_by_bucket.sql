-- ?1 from, ?2 to (exclusive) · ?3 teams as JSON, ?4 token, ?5 route: NULL is all
SELECT u.bucket_start AS key, NULL AS label, sum(u.calls) AS calls, sum(u.ok) AS ok, sum(u.client_errors) AS client_errors,
    sum(u.upstream_errors) AS upstream_errors, sum(u.timeouts) AS timeouts, sum(u.gateway_errors) AS gateway_errors,
    sum(u.denied) AS denied, sum(u.limited) AS limited, sum(u.latency_sum_ms) AS latency_sum_ms,
    sum(u.gateway_sum_ms) AS gateway_sum_ms, sum(u.bytes_in) AS bytes_in, sum(u.bytes_out) AS bytes_out,
    sum(u.prompt_tokens) AS prompt_tokens, sum(u.completion_tokens) AS completion_tokens,
    sum(u.cached_tokens) AS cached_tokens, sum(u.cost_micros) AS cost_micros
FROM usage_hourly AS u
WHERE u.bucket_start >= ?1 AND u.bucket_start < ?2 AND (?3 IS NULL OR u.team_id IN (SELECT value FROM json_each(?3)))
    AND (?4 IS NULL OR u.token_id = ?4)
    AND (?5 IS NULL OR u.route_id = ?5)
GROUP BY u.bucket_start
