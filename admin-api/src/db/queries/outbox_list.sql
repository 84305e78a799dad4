SELECT kind, entity_id, created_at, attempts, next_attempt_at, last_error
FROM outbox
ORDER BY created_at, id
LIMIT ?1
