-- Rows of one key and interval, added up. Their histograms are joined: with at most some 120 buckets that is far below the
-- longest value of D1, which the histograms of all keys together would pass. As JSON, sums beyond 2^53 stay exact.
-- ?1 ranges of keys as JSON (`domain::usage::report::Range`) · ?2 buckets as JSON (`domain::usage::report::Bucket`)
WITH ranges AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'dimension' AS dimension, value ->> 'low' AS low,
        value ->> 'high' AS high, value ->> 'parts' AS parts
    FROM json_each(?1)),
buckets AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'at' AS at, value ->> 'interval' AS interval
    FROM json_each(?2))
SELECT min(r.dimension) AS dimension, r.key, buckets.interval,
    json_array(sum(r.calls), sum(r.ok), sum(r.client_errors), sum(r.upstream_errors), sum(r.timeouts),
        sum(r.gateway_errors), sum(r.denied), sum(r.limited), sum(r.latency_sum_ms), sum(r.gateway_sum_ms),
        sum(r.bytes_in), sum(r.bytes_out), sum(r.prompt_tokens), sum(r.completion_tokens), sum(r.cached_tokens),
        sum(r.cost_micros)) AS sums,
    replace(group_concat(r.histogram, ''), '"', '') AS histograms
FROM ranges CROSS JOIN buckets CROSS JOIN rollups AS r
WHERE buckets.granularity = ranges.granularity
    AND r.dimension = ranges.dimension AND r.granularity = ranges.granularity AND r.bucket = buckets.at
    AND r.key >= ranges.low AND r.key < ranges.high
    AND (ranges.parts = '' OR instr(' ' || r.key || ' ', ranges.parts) > 0)
GROUP BY buckets.interval, r.key
