-- All calls of a token since it was made.
SELECT coalesce(sum(r.calls), 0) AS calls, coalesce(sum(r.ok), 0) AS ok, coalesce(sum(r.client_errors), 0) AS client_errors, coalesce(sum(r.upstream_errors), 0) AS upstream_errors,
    coalesce(sum(r.timeouts), 0) AS timeouts, coalesce(sum(r.gateway_errors), 0) AS gateway_errors, coalesce(sum(r.denied), 0) AS denied, coalesce(sum(r.limited), 0) AS limited,
    coalesce(sum(r.latency_sum_ms), 0) AS latency_sum_ms, coalesce(sum(r.gateway_sum_ms), 0) AS gateway_sum_ms, coalesce(sum(r.bytes_in), 0) AS bytes_in,
    coalesce(sum(r.bytes_out), 0) AS bytes_out, coalesce(sum(r.prompt_tokens), 0) AS prompt_tokens, coalesce(sum(r.completion_tokens), 0) AS completion_tokens,
    coalesce(sum(r.cached_tokens), 0) AS cached_tokens, coalesce(sum(r.cost_micros), 0) AS cost_micros,
    group_concat(r.histogram, ';') AS histograms
FROM usage_rollups AS r
WHERE r.dimension = 'token' AND r.granularity = 'day' AND r.key = ?1
