-- Of several simultaneous calls, only one changes a row and may ask: nobody has asked since ?3.
UPDATE users SET asked_at = ?2 WHERE id = ?1 AND coalesce(asked_at, 0) <= ?3
