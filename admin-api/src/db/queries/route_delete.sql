-- ?2 the version that `If-Match` named, or NULL
DELETE FROM routes WHERE id = ?1 AND (?2 IS NULL OR version = ?2)
