-- Every route, called or not. ?1 dimension · ?2 spans as JSON · ?3 teams as JSON, NULL means all · ?4 part
-- of the name · ?5 sort: calls, errors, last_used or name · ?6, ?7 sort value and id of the last row
-- seen, NULL at the start · ?8 limit
WITH entities AS (
    SELECT o.id, o.path AS name, NULL AS team_id,
        (SELECT max(p.last_at) FROM usage_pairs AS p WHERE p.route_id = o.id
            AND (?3 IS NULL OR p.team_id IN (SELECT value FROM json_each(?3)))) AS last_at
    FROM routes AS o
    WHERE ?4 IS NULL OR instr(lower(o.name), lower(?4)) > 0 OR instr(lower(o.path), lower(?4)) > 0),
spans AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'from' AS since, value ->> 'to' AS until
    FROM json_each(?2)),
keys(key, part) AS (
    SELECT DISTINCT iif(?1 = 'pair', p.token_id || ' ' || p.route_id, p.route_id), p.route_id
    FROM usage_pairs AS p
    WHERE p.route_id IN (SELECT id FROM entities) AND (?3 IS NULL OR p.team_id IN (SELECT value FROM json_each(?3)))),
sums AS MATERIALIZED (
    SELECT keys.part, sum(r.calls) AS calls, sum(r.ok) AS ok, sum(r.client_errors) AS client_errors, sum(r.upstream_errors) AS upstream_errors,
        sum(r.timeouts) AS timeouts, sum(r.gateway_errors) AS gateway_errors, sum(r.denied) AS denied, sum(r.limited) AS limited,
        sum(r.latency_sum_ms) AS latency_sum_ms, sum(r.gateway_sum_ms) AS gateway_sum_ms, sum(r.bytes_in) AS bytes_in, sum(r.bytes_out) AS bytes_out,
        sum(r.prompt_tokens) AS prompt_tokens, sum(r.completion_tokens) AS completion_tokens, sum(r.cached_tokens) AS cached_tokens, sum(r.cost_micros) AS cost_micros
    FROM keys CROSS JOIN spans CROSS JOIN usage_rollups AS r
    WHERE r.dimension = ?1 AND r.granularity = spans.granularity AND r.key = keys.key
        AND r.bucket_start >= spans.since AND r.bucket_start < spans.until
    GROUP BY keys.part),
listed AS (
    SELECT e.id, e.name AS label, e.team_id, e.last_at, coalesce(s.calls, 0) AS calls, coalesce(s.ok, 0) AS ok, coalesce(s.client_errors, 0) AS client_errors, coalesce(s.upstream_errors, 0) AS upstream_errors,
        coalesce(s.timeouts, 0) AS timeouts, coalesce(s.gateway_errors, 0) AS gateway_errors, coalesce(s.denied, 0) AS denied, coalesce(s.limited, 0) AS limited,
        coalesce(s.latency_sum_ms, 0) AS latency_sum_ms, coalesce(s.gateway_sum_ms, 0) AS gateway_sum_ms, coalesce(s.bytes_in, 0) AS bytes_in,
        coalesce(s.bytes_out, 0) AS bytes_out, coalesce(s.prompt_tokens, 0) AS prompt_tokens, coalesce(s.completion_tokens, 0) AS completion_tokens,
        coalesce(s.cached_tokens, 0) AS cached_tokens, coalesce(s.cost_micros, 0) AS cost_micros,
        CASE ?5 WHEN 'name' THEN lower(e.name) WHEN 'last_used' THEN coalesce(e.last_at, 0)
            WHEN 'errors' THEN coalesce(s.calls - s.ok, 0) ELSE coalesce(s.calls, 0) END AS sort_value
    FROM entities AS e LEFT JOIN sums AS s ON s.part = e.id),
page AS MATERIALIZED (
    SELECT * FROM listed
    WHERE ?7 IS NULL OR iif(?5 = 'name', sort_value > ?6, sort_value < ?6) OR (sort_value = ?6 AND id > ?7)
    ORDER BY iif(?5 = 'name', sort_value, NULL), iif(?5 = 'name', NULL, sort_value) DESC, id
    LIMIT ?8)
SELECT page.*, (SELECT group_concat(r.histogram, ';')
    FROM keys CROSS JOIN spans CROSS JOIN usage_rollups AS r
    WHERE keys.part = page.id AND r.dimension = ?1 AND r.granularity = spans.granularity
        AND r.key = keys.key AND r.bucket_start >= spans.since AND r.bucket_start < spans.until) AS histograms
FROM page
