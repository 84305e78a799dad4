-- The rollups in the shape that reports read: summed up beforehand along each dimension that a report
-- asks for, so that a report over months reads as many rows as it shows, times the buckets.
--
-- | dimension | key                            |
-- |-----------|--------------------------------|
-- | all       | ''                             |
-- | team      | team id                        |
-- | token     | token id                       |
-- | route     | route id, '' for no route      |
-- | pair      | token id, a space, route id    |
CREATE TABLE usage_rollups (
    dimension TEXT NOT NULL CHECK (dimension IN ('all', 'team', 'token', 'route', 'pair')),
    -- Kept 2 days, 400 days, for ever, for ever. Weeks are counted from the epoch; they spare long
    -- reports most of the days.
    granularity TEXT NOT NULL CHECK (granularity IN ('5m', 'hour', 'day', 'week')),
    key TEXT NOT NULL,
    bucket_start INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    client_errors INTEGER NOT NULL,
    upstream_errors INTEGER NOT NULL,
    timeouts INTEGER NOT NULL,
    gateway_errors INTEGER NOT NULL,
    denied INTEGER NOT NULL,
    limited INTEGER NOT NULL,
    latency_sum_ms INTEGER NOT NULL,
    gateway_sum_ms INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    -- JSON object of latency bin (`domain::rollup::bin_of`) to count. One value rather than a row per
    -- bin: a tenth of the rows, which D1 bills and reports read.
    histogram TEXT NOT NULL,
    PRIMARY KEY (dimension, granularity, key, bucket_start)
) STRICT, WITHOUT ROWID;

-- What retention looks for.
CREATE INDEX usage_rollups_by_age ON usage_rollups (granularity, bucket_start) WHERE granularity IN ('5m', 'hour');

-- Which token has used which route, ever: the keys that a report looks up. A token's team never
-- changes.
CREATE TABLE usage_pairs (
    token_id TEXT NOT NULL,
    route_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (token_id, route_id)
) STRICT, WITHOUT ROWID;

INSERT INTO usage_pairs (token_id, route_id, team_id, last_at)
SELECT token_id, route_id, min(team_id), max(bucket_start) FROM usage_daily GROUP BY token_id, route_id;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'all', 'hour', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'hour' AND bucket_start = s.bucket_start AND '' = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT '' AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_hourly GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'team', 'hour', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'hour' AND bucket_start = s.bucket_start AND usage_latency.team_id = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT team_id AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_hourly GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'token', 'hour', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'hour' AND bucket_start = s.bucket_start AND usage_latency.token_id = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT token_id AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_hourly GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'route', 'hour', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'hour' AND bucket_start = s.bucket_start AND usage_latency.route_id = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT route_id AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_hourly GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'pair', 'hour', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'hour' AND bucket_start = s.bucket_start AND usage_latency.token_id || ' ' || usage_latency.route_id = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT token_id || ' ' || route_id AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_hourly GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'all', 'day', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'day' AND bucket_start = s.bucket_start AND '' = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT '' AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_daily GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'team', 'day', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'day' AND bucket_start = s.bucket_start AND usage_latency.team_id = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT team_id AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_daily GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'token', 'day', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'day' AND bucket_start = s.bucket_start AND usage_latency.token_id = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT token_id AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_daily GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'route', 'day', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'day' AND bucket_start = s.bucket_start AND usage_latency.route_id = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT route_id AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_daily GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT 'pair', 'day', s.key, s.bucket_start, s.calls, s.ok, s.client_errors, s.upstream_errors, s.timeouts, s.gateway_errors,
    s.denied, s.limited, s.latency_sum_ms, s.gateway_sum_ms, s.bytes_in, s.bytes_out, s.prompt_tokens, s.completion_tokens, s.cached_tokens, s.cost_micros,
    coalesce((SELECT json_group_object(CAST(b.bin AS TEXT), b.n) FROM (
        SELECT bin, sum(count) AS n FROM usage_latency
        WHERE granularity = 'day' AND bucket_start = s.bucket_start AND usage_latency.token_id || ' ' || usage_latency.route_id = s.key
        GROUP BY bin) AS b), '{}')
FROM (SELECT token_id || ' ' || route_id AS key, bucket_start, sum(calls) AS calls, sum(ok) AS ok, sum(client_errors) AS client_errors, sum(upstream_errors) AS upstream_errors, sum(timeouts) AS timeouts, sum(gateway_errors) AS gateway_errors,
        sum(denied) AS denied, sum(limited) AS limited, sum(latency_sum_ms) AS latency_sum_ms, sum(gateway_sum_ms) AS gateway_sum_ms, sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_micros) AS cost_micros
    FROM usage_daily GROUP BY 1, 2) AS s;

INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, calls, ok, client_errors, upstream_errors, timeouts, gateway_errors,
    denied, limited, latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros, histogram)
SELECT d.dimension, 'week', d.key, d.bucket_start / 604800000 * 604800000, sum(calls), sum(ok), sum(client_errors), sum(upstream_errors), sum(timeouts), sum(gateway_errors),
    sum(denied), sum(limited), sum(latency_sum_ms), sum(gateway_sum_ms), sum(bytes_in),
    sum(bytes_out), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(cost_micros),
    (SELECT json_group_object(b.bin, b.n) FROM (
        SELECT j.key AS bin, sum(j.value) AS n
        FROM usage_rollups AS w, json_each(w.histogram) AS j
        WHERE w.dimension = d.dimension AND w.granularity = 'day' AND w.key = d.key
            AND w.bucket_start / 604800000 = d.bucket_start / 604800000
        GROUP BY j.key) AS b)
FROM usage_rollups AS d
WHERE d.granularity = 'day'
GROUP BY 1, 3, 4;

DROP TABLE usage_latency;
DROP TABLE usage_hourly;
DROP TABLE usage_daily;
