SELECT value, updated_at FROM settings WHERE key = ?1
