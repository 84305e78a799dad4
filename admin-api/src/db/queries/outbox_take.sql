-- Claims the rows of one subject that are due at ?3, so that nobody else publishes it before ?4.
UPDATE outbox SET next_attempt_at = ?4
WHERE kind = ?1 AND entity_id = ?2 AND next_attempt_at <= ?3
RETURNING id, kind, entity_id, attempts, priority
