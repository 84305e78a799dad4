-- ?1 open buckets as JSON
INSERT INTO open_models (granularity, bucket, part, sums)
SELECT value ->> 'granularity', value ->> 'bucket', value ->> 'part', value ->> 'sums' FROM json_each(?1) WHERE true
ON CONFLICT (granularity, bucket, part) DO UPDATE SET sums = excluded.sums
