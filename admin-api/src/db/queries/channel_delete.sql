-- ?2 the version that was read, NULL means any
DELETE FROM channels WHERE id = ?1 AND (?2 IS NULL OR version = ?2)
