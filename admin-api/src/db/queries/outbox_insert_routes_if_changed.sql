-- Only if the statement before it in the batch changed something.
INSERT INTO outbox (id, kind, created_at, next_attempt_at) SELECT ?1, 'routes', ?2, ?2 WHERE changes() > 0
