-- Enabled channels whose deliveries have failed since before ?2. ?1 now
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'channel-failing', id, team_id, json_object('name', name), ?1, ?1
FROM channels WHERE enabled = 1 AND failing_since <= ?2
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, created_at = excluded.created_at, resolved_at = NULL
WHERE resolved_at IS NOT NULL
