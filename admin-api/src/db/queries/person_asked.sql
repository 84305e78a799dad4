-- Changes a row only for the one of several calls that is to ask: nobody has since ?3.
UPDATE users SET asked_at = ?2 WHERE id = ?1 AND coalesce(asked_at, 0) <= ?3
