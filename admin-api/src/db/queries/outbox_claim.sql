-- Takes the most urgent of what is due at ?1, and puts it out of other runs' reach until ?2. A search for each
-- priority: rows that are not due yet are not read.
UPDATE outbox SET next_attempt_at = ?2
WHERE id IN (
    SELECT id FROM (
        SELECT * FROM (SELECT id, priority, next_attempt_at FROM outbox WHERE priority = 0 AND next_attempt_at <= ?1 ORDER BY next_attempt_at LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT id, priority, next_attempt_at FROM outbox WHERE priority = 1 AND next_attempt_at <= ?1 ORDER BY next_attempt_at LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT id, priority, next_attempt_at FROM outbox WHERE priority = 2 AND next_attempt_at <= ?1 ORDER BY next_attempt_at LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT id, priority, next_attempt_at FROM outbox WHERE priority = 3 AND next_attempt_at <= ?1 ORDER BY next_attempt_at LIMIT ?3)
    )
    ORDER BY priority, next_attempt_at
    LIMIT ?3
)
RETURNING id, kind, entity_id, attempts, priority
