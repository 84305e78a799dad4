-- One notification per subject, which is renewed instead of repeated. ?1 JSON of {subject, kind} · ?2 now
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'kv-drift', value ->> 'subject', NULL, json_object('drift', value ->> 'kind'), ?2, ?2
FROM json_each(?1)
WHERE true
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at), resolved_at = NULL
