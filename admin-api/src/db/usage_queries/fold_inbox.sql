-- The oldest batches. ?1 limit
SELECT id, at, lag_ms, sums, calls FROM inbox ORDER BY id LIMIT ?1
