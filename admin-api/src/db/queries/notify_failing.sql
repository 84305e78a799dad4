-- Routes that fail. ?1 now · ?2 their ids, calls and failed calls, and whether that has lasted, as JSON: then they have a
-- step, until they are over
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'route-failing', o.id, NULL,
    json_patch(json_object('path', o.path, 'calls', f.value ->> 'calls', 'failed', f.value ->> 'failed'), iif(f.value ->> 'is_steady', '{"step":1}', '{}')),
    ?1, ?1
FROM json_each(?2) AS f CROSS JOIN routes AS o ON o.id = f.value ->> 'id'
WHERE true
ON CONFLICT (kind, subject) DO UPDATE SET
    details = iif(resolved_at IS NULL AND details ->> 'step' IS NOT NULL, json_set(excluded.details, '$.step', 1), excluded.details),
    updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
