-- ?1 granularity · ?2 before · ?3 limit
DELETE FROM usage_rollups
WHERE (dimension, granularity, key, bucket_start) IN (
    SELECT dimension, granularity, key, bucket_start FROM usage_rollups INDEXED BY usage_rollups_by_age
    WHERE granularity = ?1 AND granularity IN ('5m', 'hour') AND bucket_start < ?2
    LIMIT ?3)
