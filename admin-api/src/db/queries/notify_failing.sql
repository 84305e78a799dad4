-- Routes at whose upstream more than a fifth of the calls since ?2, and at least five, failed. Only calls that
-- reached an upstream count. ?1 now
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'route-failing', o.id, NULL,
    json_object('path', o.path, 'calls', sum(r.calls - r.denied - r.limited),
        'failed', sum(r.upstream_errors + r.timeouts + r.gateway_errors)), ?1, ?1
FROM routes AS o CROSS JOIN usage_rollups AS r -- reads each route's last hour, not two days of all routes
    ON r.dimension = 'route' AND r.granularity = '5m' AND r.key = o.id AND r.bucket_start >= ?2
GROUP BY o.id
HAVING sum(r.upstream_errors + r.timeouts + r.gateway_errors) >= 5
    AND sum(r.upstream_errors + r.timeouts + r.gateway_errors) * 5 > sum(r.calls - r.denied - r.limited)
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
