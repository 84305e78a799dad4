-- What lines are ranked by. Few columns, because all rows are sorted by key; the rest is read for what is shown.
-- No key of a dimension is one of another.
-- ?1 ranges of keys as JSON (`domain::usage::report::Range`) · ?2 buckets as JSON (`domain::usage::report::Bucket`)
WITH ranges AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'dimension' AS dimension, value ->> 'low' AS low,
        value ->> 'high' AS high, value ->> 'parts' AS parts
    FROM json_each(?1)),
buckets AS MATERIALIZED (
    SELECT value ->> 'granularity' AS granularity, value ->> 'at' AS at
    FROM json_each(?2))
SELECT min(r.dimension) AS dimension, r.key, sum(r.calls) AS calls, sum(r.ok) AS ok, sum(r.denied + r.limited) AS refused,
    sum(r.cost_micros) AS cost_micros, sum(r.prompt_tokens + r.completion_tokens) AS ai_tokens
FROM ranges CROSS JOIN buckets CROSS JOIN rollups AS r
WHERE buckets.granularity = ranges.granularity
    AND r.dimension = ranges.dimension AND r.granularity = ranges.granularity AND r.bucket = buckets.at
    AND r.key >= ranges.low AND r.key < ranges.high
    AND (ranges.parts = '' OR instr(' ' || r.key || ' ', ranges.parts) > 0)
GROUP BY r.key
