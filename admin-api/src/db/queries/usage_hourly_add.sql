-- ?1: the events as JSON, each id once. Adds those that `usage_events` does not hold yet, so it
-- stands before their insertion in the batch. (`WHERE` also keeps ON CONFLICT from being read as a join.)
INSERT INTO usage_hourly (
    bucket_start, token_id, route_id, team_id, calls, ok, client_errors, upstream_errors, timeouts,
    gateway_errors, denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out,
    prompt_tokens, completion_tokens, cached_tokens, cost_micros)
SELECT
    e.at - e.at % 3600000, e.token_id, e.route_id, e.team_id, count(*),
    sum(e.class = 'ok'), sum(e.class = 'client-error'), sum(e.class = 'upstream-error'),
    sum(e.class = 'timeout'), sum(e.class = 'gateway-error'), sum(e.class = 'denied'),
    sum(e.class = 'limited'),
    sum(iif(e.class IN ('denied', 'limited'), 0, e.latency_ms)),
    sum(iif(e.class IN ('denied', 'limited'), 0, e.gateway_ms)),
    sum(coalesce(e.bytes_in, 0)), sum(coalesce(e.bytes_out, 0)), sum(coalesce(e.prompt_tokens, 0)),
    sum(coalesce(e.completion_tokens, 0)), sum(coalesce(e.cached_tokens, 0)), sum(coalesce(e.cost_micros, 0))
FROM (
    SELECT
        value ->> 'id' AS id, value ->> 'at' AS at, value ->> 'token_id' AS token_id,
        value ->> 'route_id' AS route_id, value ->> 'team_id' AS team_id, value ->> 'class' AS class,
        value ->> 'latency_ms' AS latency_ms, value ->> 'gateway_ms' AS gateway_ms,
        value ->> 'bytes_in' AS bytes_in, value ->> 'bytes_out' AS bytes_out,
        value ->> 'prompt_tokens' AS prompt_tokens, value ->> 'completion_tokens' AS completion_tokens,
        value ->> 'cached_tokens' AS cached_tokens, value ->> 'cost_micros' AS cost_micros
    FROM json_each(?1)) AS e
WHERE NOT EXISTS (SELECT 1 FROM usage_events AS seen WHERE seen.id = e.id)
GROUP BY 1, 2, 3, 4
ON CONFLICT (bucket_start, token_id, route_id, team_id) DO UPDATE SET
    calls = calls + excluded.calls,
    ok = ok + excluded.ok,
    client_errors = client_errors + excluded.client_errors,
    upstream_errors = upstream_errors + excluded.upstream_errors,
    timeouts = timeouts + excluded.timeouts,
    gateway_errors = gateway_errors + excluded.gateway_errors,
    denied = denied + excluded.denied,
    limited = limited + excluded.limited,
    latency_sum_ms = latency_sum_ms + excluded.latency_sum_ms,
    gateway_sum_ms = gateway_sum_ms + excluded.gateway_sum_ms,
    bytes_in = bytes_in + excluded.bytes_in,
    bytes_out = bytes_out + excluded.bytes_out,
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens,
    cached_tokens = cached_tokens + excluded.cached_tokens,
    cost_micros = cost_micros + excluded.cost_micros
