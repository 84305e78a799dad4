-- Notifications of a kind (?2) about live tokens, as JSON (?3): token, details without the name. ?1 now · ?4 whether one that
-- is open is opened again, since its reason is another
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT ?2, t.id, t.team_id, json_set(value -> 'details', '$.name', t.name), ?1, ?1
FROM json_each(?3) CROSS JOIN tokens AS t ON t.id = value ->> 'token'
WHERE t.revoked_at IS NULL
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL AND NOT ?4, created_at, excluded.created_at)
