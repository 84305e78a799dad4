-- One notification about the platform, opened or renewed if ?5, else resolved. ?1 kind · ?2 subject · ?3 details as JSON · ?4 now
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT ?1, ?2, NULL, ?3, ?4, ?4
WHERE ?5 OR EXISTS (SELECT 1 FROM notifications WHERE kind = ?1 AND subject = ?2 AND resolved_at IS NULL)
ON CONFLICT (kind, subject) DO UPDATE SET
    details = iif(?5, excluded.details, details), updated_at = excluded.updated_at, resolved_at = iif(?5, NULL, ?4),
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
WHERE NOT ?5 OR resolved_at IS NOT NULL OR details ->> 'step' IS NOT excluded.details ->> 'step'
