-- Models that were called without a price, with their calls, as JSON (?1). ?2 now. Clients can make up
-- names, so at most a hundred are open; the most called models come first.
WITH called AS (
    SELECT c.value ->> 'model' AS model, c.value ->> 'calls' AS calls,
        EXISTS (SELECT 1 FROM notifications AS n
            WHERE n.kind = 'model-unpriced' AND n.subject = c.value ->> 'model' AND n.resolved_at IS NULL) AS is_open
    FROM json_each(?1) AS c)
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'model-unpriced', model, NULL, json_object('calls', calls), ?2, ?2
FROM called
WHERE is_open OR model IN (
    SELECT model FROM called WHERE NOT is_open ORDER BY calls DESC
    LIMIT max(0, 100 - (SELECT count(*) FROM notifications WHERE kind = 'model-unpriced' AND resolved_at IS NULL)))
ON CONFLICT (kind, subject) DO UPDATE SET
    details = json_object('calls', iif(resolved_at IS NULL, details ->> 'calls', 0) + (excluded.details ->> 'calls')),
    updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
