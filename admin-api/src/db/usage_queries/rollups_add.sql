-- Rows of buckets that are over, or calls that came late for one that was. ?1 rows as JSON: dimension, granularity,
-- bucket, key, the sums in the order of the columns, histogram
INSERT INTO rollups (
    dimension, granularity, bucket, key, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors, denied,
    limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens,
    cost_micros, histogram)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15,
    value ->> 16, value ->> 17, value ->> 18, value ->> 19, value ->> 20
FROM json_each(?1) WHERE true
ON CONFLICT (dimension, granularity, bucket, key) DO UPDATE SET
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
            SELECT key AS bin, value AS n FROM json_each(rollups.histogram)
            UNION ALL
            SELECT key, value FROM json_each(excluded.histogram))
        GROUP BY bin) AS b)
