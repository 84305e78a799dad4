-- ?3 the version that `If-Match` named, or NULL. A trigger refuses what is not empty.
UPDATE teams SET deleted_at = ?2, updated_at = ?2, version = version + 1
WHERE id = ?1 AND deleted_at IS NULL AND (?3 IS NULL OR version = ?3)
