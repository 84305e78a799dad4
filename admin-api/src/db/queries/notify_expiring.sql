-- Tokens that expire between ?1 and ?2. ?3 the days before the end at which they are reported, as JSON. One that is open is
-- opened again if the end is another one
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'token-expiring', id, team_id, json_object('name', name, 'expires_at', expires_at,
    'step', (SELECT min(value) FROM json_each(?3) WHERE ?1 + value * 86400000 >= expires_at)), ?1, ?1
FROM tokens
WHERE revoked_at IS NULL AND expires_at > ?1 AND expires_at <= ?2
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL AND details ->> 'expires_at' IS excluded.details ->> 'expires_at',
        created_at, excluded.created_at)
WHERE resolved_at IS NOT NULL OR details <> excluded.details
