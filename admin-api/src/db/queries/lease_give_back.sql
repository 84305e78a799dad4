UPDATE settings SET updated_at = 0 WHERE key = ?1 AND value = ?2
