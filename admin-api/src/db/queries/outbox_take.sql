-- Takes the rows of one subject that are due at ?3, so that nobody publishes it now, until ?4.
UPDATE outbox SET next_attempt_at = ?4
WHERE kind = ?1 AND entity_id = ?2 AND next_attempt_at <= ?3
RETURNING id, kind, entity_id, attempts, priority
