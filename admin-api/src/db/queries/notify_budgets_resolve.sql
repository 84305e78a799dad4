-- Resolves notifications about limits (?2, subjects as JSON) of which little is used. ?1 now
UPDATE notifications INDEXED BY notifications_open_by_kind SET resolved_at = ?1
WHERE kind = 'budget-used' AND resolved_at IS NULL AND subject IN (SELECT value FROM json_each(?2))
