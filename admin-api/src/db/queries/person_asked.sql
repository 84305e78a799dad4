UPDATE users SET asked_at = ?2 WHERE id = ?1
