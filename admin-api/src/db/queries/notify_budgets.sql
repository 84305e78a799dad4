-- Limits of which a share was used, as JSON (?2): subject, team, details with the share as their step. One that is open is
-- opened again if its limit is another one or its counter has begun again. ?1 now
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'budget-used', value ->> 'subject', value ->> 'team', value -> 'details', ?1, ?1
FROM json_each(?2) WHERE true
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL AND details ->> 'limit' IS excluded.details ->> 'limit'
        AND coalesce(details ->> 'resets_at' > ?1, true), created_at, excluded.created_at)
WHERE resolved_at IS NOT NULL OR details ->> 'step' <> excluded.details ->> 'step'
    OR details ->> 'limit' <> excluded.details ->> 'limit' OR details ->> 'resets_at' <= ?1
