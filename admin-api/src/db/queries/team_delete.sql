-- A trigger refuses to delete a team that is not empty. ?3 the version that `If-Match` named, or NULL
UPDATE teams SET deleted_at = ?2, updated_at = ?2, version = version + 1
WHERE id = ?1 AND deleted_at IS NULL AND (?3 IS NULL OR version = ?3)
