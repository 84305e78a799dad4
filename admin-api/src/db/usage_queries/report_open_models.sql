-- Sums by model that are not rows yet. ?1 buckets as JSON (`domain::usage::report::Pending`), which may overlap
SELECT sums
FROM open_models AS open
WHERE EXISTS (
    SELECT 1 FROM json_each(?1)
    WHERE value ->> 'granularity' = open.granularity AND open.bucket >= value ->> 'from' AND open.bucket < value ->> 'to')
