-- Counts the rows due at ?1, up to ?2.
SELECT count(*) AS due FROM (
    SELECT 1 FROM outbox WHERE priority IN (0, 1, 2, 3) AND next_attempt_at <= ?1 LIMIT ?2
)
