-- Claims the rows of the tokens ?1 (JSON) that are due at ?2, so that nobody else publishes them before ?3.
UPDATE outbox SET next_attempt_at = ?3
WHERE kind = 'token' AND entity_id IN (SELECT value FROM json_each(?1)) AND next_attempt_at <= ?2
RETURNING id, kind, entity_id, attempts, priority
