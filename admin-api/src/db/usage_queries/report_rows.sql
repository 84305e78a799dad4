-- Rows with their histograms: a value that joined these could become too long for D1. As JSON, sums beyond 2^53
-- stay exact.
-- ?1 ranges of keys as JSON (`domain::usage::report::Range`) · ?2 buckets as JSON (`domain::usage::report::Bucket`)
WITH ranges AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'dimension' AS dimension, value ->> 'low' AS low,
        value ->> 'high' AS high, value ->> 'end' AS tail
    FROM json_each(?1)),
buckets AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'at' AS at
    FROM json_each(?2))
SELECT r.granularity, r.dimension, r.bucket, r.key, r.histogram,
    json_array(r.calls, r.ok, r.client_errors, r.upstream_errors, r.timeouts, r.gateway_errors, r.denied,
        r.limited, r.latency_sum_ms, r.gateway_sum_ms, r.bytes_in, r.bytes_out, r.prompt_tokens,
        r.completion_tokens, r.cached_tokens, r.cost_micros) AS sums
FROM ranges CROSS JOIN buckets CROSS JOIN rollups AS r
WHERE buckets.granularity = ranges.granularity
    AND r.dimension = ranges.dimension AND r.granularity = ranges.granularity AND r.bucket = buckets.at
    AND r.key >= ranges.low AND r.key < ranges.high
    AND (ranges.tail = '' OR substr(r.key, -length(ranges.tail)) = ranges.tail)
