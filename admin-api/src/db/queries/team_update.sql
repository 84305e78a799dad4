-- ?8 is the version that was read: of two writers the second changes nothing.
UPDATE teams
SET name = ?2, description = ?3, color = ?4, icon = ?5, scope_cap = ?6, updated_at = ?7, version = version + 1
WHERE id = ?1 AND version = ?8 AND deleted_at IS NULL
