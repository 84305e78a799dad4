-- Segments to delete: those with nothing from ?1 on, the oldest first. ?2 limit
SELECT id, calls, object FROM segments WHERE until < ?1 ORDER BY until LIMIT ?2
