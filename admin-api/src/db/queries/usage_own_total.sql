SELECT u.token_id AS key, NULL AS label, sum(u.calls) AS calls, sum(u.ok) AS ok, sum(u.client_errors) AS client_errors,
    sum(u.upstream_errors) AS upstream_errors, sum(u.timeouts) AS timeouts, sum(u.gateway_errors) AS gateway_errors,
    sum(u.denied) AS denied, sum(u.limited) AS limited, sum(u.latency_sum_ms) AS latency_sum_ms,
    sum(u.gateway_sum_ms) AS gateway_sum_ms, sum(u.bytes_in) AS bytes_in, sum(u.bytes_out) AS bytes_out,
    sum(u.prompt_tokens) AS prompt_tokens, sum(u.completion_tokens) AS completion_tokens,
    sum(u.cached_tokens) AS cached_tokens, sum(u.cost_micros) AS cost_micros
FROM usage_daily AS u
WHERE u.token_id = ?1
GROUP BY u.token_id
