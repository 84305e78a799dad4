-- ?1 parts of buckets that are no longer open, as JSON
DELETE FROM open_models WHERE (granularity, bucket, part) IN
    (SELECT value ->> 'granularity', value ->> 'bucket', value ->> 'part' FROM json_each(?1))
