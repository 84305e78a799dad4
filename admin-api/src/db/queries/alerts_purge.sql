-- ?1 before · ?2 limit
DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE at < ?1 ORDER BY at LIMIT ?2)
