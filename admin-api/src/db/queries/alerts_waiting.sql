-- ?1 limit
SELECT id, kind, subject, is_over, team_id, details, before, at FROM alerts WHERE planned_at IS NULL ORDER BY id LIMIT ?1
