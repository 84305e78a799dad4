-- ?11 the version that was read: of two simultaneous writes, the second changes nothing.
UPDATE teams
SET name = ?2, description = ?3, color = ?4, icon = ?5, scope_cap = ?6, limits = ?7, budget = ?8, zone = ?9, updated_at = ?10,
    version = version + 1
WHERE id = ?1 AND version = ?11 AND deleted_at IS NULL
