DELETE FROM usage_latency
WHERE granularity = 'hour' AND bucket_start < ?1 AND (granularity, bucket_start, token_id, route_id, team_id, bin) IN (
    SELECT granularity, bucket_start, token_id, route_id, team_id, bin FROM usage_latency
    WHERE granularity = 'hour' AND bucket_start < ?1 LIMIT ?2)
