-- ?1 id · ?2 the zone as it is now · ?3 as it was read
UPDATE teams SET zone = ?2 WHERE id = ?1 AND zone = ?3
