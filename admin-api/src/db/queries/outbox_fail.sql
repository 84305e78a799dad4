-- ?1: JSON of {id, retry_at, error}
UPDATE outbox SET attempts = attempts + 1, next_attempt_at = failed.value ->> 'retry_at', last_error = failed.value ->> 'error'
FROM json_each(?1) AS failed
WHERE outbox.id = failed.value ->> 'id'
