-- One notification, opened or renewed. ?1 kind, ?2 subject, ?3 details as JSON, ?4 now
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
VALUES (?1, ?2, NULL, ?3, ?4, ?4)
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, updated_at = excluded.updated_at, resolved_at = NULL,
    created_at = iif(resolved_at IS NULL, created_at, excluded.created_at)
