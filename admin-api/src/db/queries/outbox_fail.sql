UPDATE outbox SET attempts = attempts + 1, next_attempt_at = ?2, last_error = ?3
WHERE id IN (SELECT value FROM json_each(?1))
