UPDATE settings SET value = '1', updated_at = ?1 WHERE key = 'prices-version' AND value = '0'
