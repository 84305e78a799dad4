DELETE FROM usage_hourly
WHERE bucket_start < ?1 AND (bucket_start, token_id, route_id, team_id) IN (
    SELECT bucket_start, token_id, route_id, team_id FROM usage_hourly WHERE bucket_start < ?1 LIMIT ?2)
