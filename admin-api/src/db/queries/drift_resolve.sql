-- Resolves subjects that were compared and found equal. ?1 subjects as JSON · ?2 now
UPDATE notifications INDEXED BY notifications_open_by_kind SET resolved_at = ?2
WHERE kind = 'kv-drift' AND resolved_at IS NULL AND subject IN (SELECT value FROM json_each(?1))
