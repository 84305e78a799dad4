-- Resolves notifications that this run has not renewed. ?1 its time
UPDATE notifications INDEXED BY notifications_open_by_kind SET resolved_at = ?1
WHERE kind = 'route-failing' AND resolved_at IS NULL AND updated_at < ?1
