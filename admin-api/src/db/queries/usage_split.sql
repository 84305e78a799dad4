-- Busiest first; histograms are fetched only for those that are shown. ?1 dimension of the rows
-- that are read: token, route or pair · ?2 spans as JSON (`domain::usage::span::Span`) · ?3 teams as JSON,
-- ?4 token, ?5 route: NULL means all · ?6 limit · ?7 split by: token or route
WITH keys(key, part) AS (
    SELECT DISTINCT
        CASE ?1 WHEN 'token' THEN p.token_id WHEN 'route' THEN p.route_id ELSE p.token_id || ' ' || p.route_id END,
        iif(?7 = 'token', p.token_id, p.route_id)
    FROM usage_pairs AS p
    WHERE (?3 IS NULL OR p.team_id IN (SELECT value FROM json_each(?3)))
        AND (?4 IS NULL OR p.token_id = ?4)
        AND (?5 IS NULL OR p.route_id = ?5)),
spans AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'from' AS since, value ->> 'to' AS until
    FROM json_each(?2)),
busiest AS MATERIALIZED (
    SELECT keys.part, sum(r.calls) AS calls, sum(r.ok) AS ok, sum(r.client_errors) AS client_errors, sum(r.upstream_errors) AS upstream_errors,
        sum(r.timeouts) AS timeouts, sum(r.gateway_errors) AS gateway_errors, sum(r.denied) AS denied, sum(r.limited) AS limited,
        sum(r.latency_sum_ms) AS latency_sum_ms, sum(r.gateway_sum_ms) AS gateway_sum_ms, sum(r.bytes_in) AS bytes_in, sum(r.bytes_out) AS bytes_out,
        sum(r.prompt_tokens) AS prompt_tokens, sum(r.completion_tokens) AS completion_tokens, sum(r.cached_tokens) AS cached_tokens, sum(r.cost_micros) AS cost_micros
    FROM keys CROSS JOIN spans CROSS JOIN usage_rollups AS r
    WHERE r.dimension = ?1 AND r.granularity = spans.granularity AND r.key = keys.key
        AND r.bucket_start >= spans.since AND r.bucket_start < spans.until
    GROUP BY keys.part
    ORDER BY 2 DESC, 1
    LIMIT ?6)
SELECT busiest.*,
    iif(?7 = 'token', (SELECT t.name FROM tokens AS t WHERE t.id = busiest.part),
        (SELECT o.path FROM routes AS o WHERE o.id = busiest.part)) AS label,
    (SELECT group_concat(r.histogram, ';')
        FROM keys CROSS JOIN spans CROSS JOIN usage_rollups AS r
        WHERE keys.part = busiest.part AND r.dimension = ?1 AND r.granularity = spans.granularity
            AND r.key = keys.key AND r.bucket_start >= spans.since AND r.bucket_start < spans.until) AS histograms
FROM busiest
