-- ?1 before · ?2 the most rows
DELETE FROM errors WHERE id IN (SELECT id FROM errors WHERE until < ?1 ORDER BY until LIMIT ?2)
