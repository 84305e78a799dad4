-- ?12 the most channels of a team, or of the system
INSERT INTO channels (id, name, team_id, kind, address, sealed, sealed_under, events, thresholds, language, created_by, created_at, updated_at, enabled)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?13, ?13, ?14
WHERE (SELECT count(*) FROM channels WHERE team_id IS ?3) < ?12
    AND (?3 IS NULL OR EXISTS (SELECT 1 FROM teams WHERE id = ?3 AND deleted_at IS NULL))
