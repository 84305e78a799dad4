SELECT id, scope_cap FROM teams WHERE id = ?1
