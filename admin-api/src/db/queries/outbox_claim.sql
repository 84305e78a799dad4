-- Claims the most urgent rows due at ?1, so that no other run takes them before ?2. It searches each priority
-- separately, so that rows that are not due yet are not read.
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
