INSERT INTO outbox (id, kind, created_at, next_attempt_at) VALUES (?1, 'routes', ?2, ?2)
