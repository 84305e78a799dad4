-- Candidates for a merge: small ones in the order of their times, but the last, to which calls are still added. ?1 calls,
-- ?2 bytes from which one is large · ?3 limit
SELECT id, calls, bytes FROM segments
WHERE calls < ?1 AND bytes < ?2 AND id < (SELECT max(id) FROM segments) ORDER BY since, id LIMIT ?3
