-- Resolves the open notifications of a kind that were not renewed for some time. ?1 kind · ?2 now · ?3 not renewed since
UPDATE notifications INDEXED BY notifications_open_by_kind SET resolved_at = ?2
WHERE kind = ?1 AND resolved_at IS NULL AND updated_at < ?3
