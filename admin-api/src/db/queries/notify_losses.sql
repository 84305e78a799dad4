-- Messages and events that the queue has lost since ?2. ?1 now
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT kind, 'queue', NULL, json_object(what, n), ?1, ?1
FROM (
    SELECT 'dead-letters' AS kind, 'messages' AS what, sum(undecodable) AS n FROM usage_losses WHERE at >= ?2
    UNION ALL
    SELECT 'events-dropped', 'events', sum(dropped) FROM usage_losses WHERE at >= ?2)
WHERE n > 0
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
