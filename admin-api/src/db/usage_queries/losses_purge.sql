-- ?1 before · ?2 limit
DELETE FROM losses WHERE message IN (SELECT message FROM losses WHERE at < ?1 ORDER BY at LIMIT ?2)
