-- ?1: the events as JSON, each id once, with the finest rollup that is still kept for it. Adds those that `usage_events` does not hold yet, so it must
-- come before their insertion in the batch. Denied and limited calls have no meaningful latency, so they have no bin.
WITH new AS MATERIALIZED (
    SELECT
        value ->> 'id' AS id, value ->> 'at' AS at, value ->> 'token_id' AS token_id,
        value ->> 'route_id' AS route_id, value ->> 'team_id' AS team_id, value ->> 'class' AS class,
        value ->> 'latency_ms' AS latency_ms, value ->> 'gateway_ms' AS gateway_ms,
        iif(value ->> 'class' IN ('denied', 'limited'), NULL, value ->> 'bin') AS bin,
        value ->> 'bytes_in' AS bytes_in, value ->> 'bytes_out' AS bytes_out,
        value ->> 'prompt_tokens' AS prompt_tokens, value ->> 'completion_tokens' AS completion_tokens,
        value ->> 'cached_tokens' AS cached_tokens, value ->> 'cost_micros' AS cost_micros,
        coalesce(value ->> 'finest_ms', 0) AS finest
    FROM json_each(?1)
    WHERE NOT EXISTS (SELECT 1 FROM usage_events AS seen WHERE seen.id = value ->> 'id')),
dimensions(dimension) AS (VALUES ('all'), ('team'), ('token'), ('route'), ('pair')),
granularities(granularity, width) AS (VALUES ('5m', 300000), ('hour', 3600000), ('day', 86400000),
    ('week', 604800000)),
bins AS (
    SELECT dimension, granularity,
        CASE dimension WHEN 'all' THEN '' WHEN 'team' THEN new.team_id WHEN 'token' THEN new.token_id
            WHEN 'route' THEN new.route_id ELSE new.token_id || ' ' || new.route_id END AS key,
        new.at - new.at % width AS bucket_start, new.bin,
        count(*) AS calls, sum(new.class = 'ok') AS ok, sum(new.class = 'client-error') AS client_errors,
        sum(new.class = 'upstream-error') AS upstream_errors, sum(new.class = 'timeout') AS timeouts,
        sum(new.class = 'gateway-error') AS gateway_errors, sum(new.class = 'denied') AS denied,
        sum(new.class = 'limited') AS limited, sum(iif(new.bin IS NULL, 0, new.latency_ms)) AS latency_sum_ms,
        sum(iif(new.bin IS NULL, 0, new.gateway_ms)) AS gateway_sum_ms, sum(coalesce(new.bytes_in, 0)) AS bytes_in,
        sum(coalesce(new.bytes_out, 0)) AS bytes_out, sum(coalesce(new.prompt_tokens, 0)) AS prompt_tokens,
        sum(coalesce(new.completion_tokens, 0)) AS completion_tokens,
        sum(coalesce(new.cached_tokens, 0)) AS cached_tokens, sum(coalesce(new.cost_micros, 0)) AS cost_micros
    FROM new CROSS JOIN dimensions CROSS JOIN granularities
    WHERE width >= new.finest
    GROUP BY 1, 2, 3, 4, 5)
INSERT INTO usage_rollups (
    dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out,
    prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT dimension, granularity, key, bucket_start, sum(calls), sum(ok), sum(client_errors), sum(upstream_errors), sum(timeouts),
    sum(gateway_errors), sum(denied), sum(limited), sum(latency_sum_ms), sum(gateway_sum_ms), sum(bytes_in), sum(bytes_out),
    sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(cost_micros),
    json_group_object(CAST(bin AS TEXT), calls) FILTER (WHERE bin IS NOT NULL)
FROM bins
WHERE true
GROUP BY 1, 2, 3, 4
ON CONFLICT (dimension, granularity, key, bucket_start) DO UPDATE SET
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
    cost_micros = cost_micros + excluded.cost_micros,
    histogram = (SELECT json_group_object(b.bin, b.n) FROM (
        SELECT bin, sum(n) AS n FROM (
            SELECT key AS bin, value AS n FROM json_each(usage_rollups.histogram)
            UNION ALL
            SELECT key, value FROM json_each(excluded.histogram))
        GROUP BY bin) AS b)
