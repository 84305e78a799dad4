-- ?1 teams as JSON, NULL means all and the system's · ?2, ?3 name and id of the last row seen · ?4 limit
SELECT id, name, team_id, kind, address, sealed, events, thresholds, language, enabled, failing_since, created_by, created_at,
    updated_at, version
FROM channels
WHERE (name COLLATE NOCASE, id) > (?2, ?3) AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))
ORDER BY name COLLATE NOCASE, id
LIMIT ?4
