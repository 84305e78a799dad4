-- ?1 the last id of the previous slice · ?2 limit
SELECT id FROM tokens WHERE id > ?1 ORDER BY id LIMIT ?2
