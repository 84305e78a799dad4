-- Candidates for a merge: small ones in the order of their times, but the last, to which calls are still added. ?1 calls
-- of a large one · ?2 limit
SELECT id, calls FROM segments WHERE calls < ?1 AND id < (SELECT max(id) FROM segments) ORDER BY since, id LIMIT ?2
