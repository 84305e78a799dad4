-- ?1 kind, ?2 subjects as JSON, ?3 now
UPDATE notifications SET resolved_at = ?3
WHERE kind = ?1 AND subject IN (SELECT value FROM json_each(?2)) AND resolved_at IS NULL
