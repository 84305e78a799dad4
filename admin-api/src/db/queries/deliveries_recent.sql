-- Deliveries by which alerts are folded: those that are, or were, due after ?1, and those that nobody has tried yet.
SELECT id, channel_id, event, subject, state, due_at, attempts FROM deliveries WHERE due_at > ?1
UNION ALL
SELECT id, channel_id, event, subject, state, due_at, attempts
FROM deliveries INDEXED BY deliveries_due
WHERE state = 'waiting' AND attempts = 0 AND due_at <= ?1
