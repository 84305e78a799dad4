-- ?1 dimension of the rows that are read · ?2 spans as JSON (`domain::usage::span::Span`) · ?3 teams as JSON,
-- ?4 token, ?5 route: NULL means all
-- `at` is the zone's local time (`domain::usage::span::instant_of`), so a day on which the clock changes is one day.
WITH keys(key) AS (
    SELECT '' WHERE ?1 = 'all'
    UNION
    SELECT value FROM json_each(?3) WHERE ?1 = 'team'
    UNION
    SELECT CASE ?1 WHEN 'token' THEN p.token_id WHEN 'route' THEN p.route_id ELSE p.token_id || ' ' || p.route_id END
    FROM usage_pairs AS p
    WHERE ?1 IN ('token', 'route', 'pair')
        AND (?3 IS NULL OR p.team_id IN (SELECT value FROM json_each(?3)))
        AND (?4 IS NULL OR p.token_id = ?4)
        AND (?5 IS NULL OR p.route_id = ?5)),
spans AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'from' AS since, value ->> 'to' AS until,
        value ->> 'offset_ms' AS offset_ms, value ->> 'width_ms' AS width_ms
    FROM json_each(?2))
SELECT (r.bucket_start + spans.offset_ms) / spans.width_ms * spans.width_ms AS at,
    sum(r.calls) AS calls, sum(r.ok) AS ok, sum(r.client_errors) AS client_errors, sum(r.upstream_errors) AS upstream_errors,
    sum(r.timeouts) AS timeouts, sum(r.gateway_errors) AS gateway_errors, sum(r.denied) AS denied, sum(r.limited) AS limited,
    sum(r.latency_sum_ms) AS latency_sum_ms, sum(r.gateway_sum_ms) AS gateway_sum_ms, sum(r.bytes_in) AS bytes_in,
    sum(r.bytes_out) AS bytes_out, sum(r.prompt_tokens) AS prompt_tokens, sum(r.completion_tokens) AS completion_tokens,
    sum(r.cached_tokens) AS cached_tokens, sum(r.cost_micros) AS cost_micros,
    group_concat(r.histogram, ';') AS histograms
FROM keys CROSS JOIN spans CROSS JOIN usage_rollups AS r
WHERE r.dimension = ?1 AND r.granularity = spans.granularity AND r.key = keys.key
    AND r.bucket_start >= spans.since AND r.bucket_start < spans.until
GROUP BY at
