-- ?1 id
SELECT id, name, team_id, kind, address, sealed, events, thresholds, language, enabled, failing_since, created_by, created_at,
    updated_at, version
FROM channels
WHERE id = ?1
