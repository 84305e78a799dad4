-- Takes what is due and puts it out of other runs' reach until ?2, so that two crons do not publish
-- the same.
UPDATE outbox SET next_attempt_at = ?2
WHERE id IN (SELECT id FROM outbox WHERE next_attempt_at <= ?1 ORDER BY next_attempt_at, id LIMIT ?3)
RETURNING id, kind, entity_id, attempts
