-- A deleted team counts as missing.
SELECT id, scope_cap, limits FROM teams WHERE id = ?1 AND deleted_at IS NULL
