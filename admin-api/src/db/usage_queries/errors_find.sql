-- Errors of batches that may hold a call. ?1 its time · ?2 the most batches
SELECT packed FROM errors WHERE until >= ?1 AND since <= ?1 ORDER BY until LIMIT ?2
