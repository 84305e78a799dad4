-- Changes that wait for their publication since before ?2; renewing an open notification would write it each minute. ?1 now
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'publication-late', 'kv', NULL, json_object('pending', count(*), 'waited_ms', ?1 - min(created_at)), ?1, ?1
FROM outbox HAVING min(created_at) <= ?2
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, created_at = excluded.created_at, resolved_at = NULL
WHERE resolved_at IS NOT NULL
