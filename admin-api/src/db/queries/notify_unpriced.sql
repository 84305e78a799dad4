-- Models that were called without a price, with their calls, as JSON (?1). ?2 now. Clients can make up
-- names, so a hundred are told of and no more.
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'model-unpriced', m.value ->> 'model', NULL, json_object('calls', m.value ->> 'calls'), ?2, ?2
FROM json_each(?1) AS m
WHERE (SELECT count(*) FROM notifications WHERE kind = 'model-unpriced' AND resolved_at IS NULL) < 100
    OR EXISTS (SELECT 1 FROM notifications AS n WHERE n.kind = 'model-unpriced' AND n.subject = m.value ->> 'model')
ON CONFLICT (kind, subject) DO UPDATE SET
    details = json_object('calls', iif(resolved_at IS NULL, details ->> 'calls', 0) + (excluded.details ->> 'calls')),
    updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
