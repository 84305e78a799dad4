-- Messages and events that the queue has lost. ?1 now · ?2 messages · ?3 events
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT kind, 'queue', NULL, json_object(what, n), ?1, ?1
FROM (
    SELECT 'dead-letters' AS kind, 'messages' AS what, ?2 AS n
    UNION ALL
    SELECT 'events-dropped', 'events', ?3)
WHERE n > 0
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
