-- Segments to delete: those with nothing from ?1 on, the oldest first. ?2 limit · ?3 only those that take room here
SELECT id, calls FROM segments WHERE until < ?1 AND (NOT ?3 OR object IS NULL) ORDER BY until LIMIT ?2
