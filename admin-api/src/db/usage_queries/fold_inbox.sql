-- The oldest batches. ?1 the most batches · ?2 the most bytes, but at least one batch
SELECT id, at, lag_ms, sums, calls, labels, models FROM (
    SELECT *, sum(octet_length(calls) + octet_length(sums)) OVER (ORDER BY id) - octet_length(calls) - octet_length(sums)
        AS before
    FROM inbox ORDER BY id LIMIT ?1)
WHERE before < ?2
