-- Sums that are not rows yet. Those of five minutes are read for any time, because they say when a route was last
-- called. ?1 names of granularities as JSON · ?2 start and ?3 end of the buckets, unix ms
SELECT granularity, bucket, sums
FROM open
WHERE granularity = '5m'
    OR (granularity IN (SELECT value FROM json_each(?1)) AND bucket >= ?2 AND bucket < ?3)
