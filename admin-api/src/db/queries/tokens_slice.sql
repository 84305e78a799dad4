-- ?1 the last id of the slice before · ?2 how many
SELECT id FROM tokens WHERE id > ?1 ORDER BY id LIMIT ?2
