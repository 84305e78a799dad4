UPDATE settings SET value = CAST(value + 1 AS TEXT), updated_at = ?1 WHERE key = 'routes-version'
