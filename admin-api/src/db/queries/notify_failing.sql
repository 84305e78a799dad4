-- Routes that fail. ?1 now · ?2 their ids, calls and failed calls, as JSON
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'route-failing', o.id, NULL,
    json_object('path', o.path, 'calls', f.value ->> 'calls', 'failed', f.value ->> 'failed'), ?1, ?1
FROM json_each(?2) AS f CROSS JOIN routes AS o ON o.id = f.value ->> 'id'
WHERE true
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
