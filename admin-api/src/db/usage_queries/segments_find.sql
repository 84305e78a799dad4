-- Segments that may hold what is searched for, those with the latest calls first. ?1 from · ?2 up to, inclusive ·
-- ?3 lists of words as JSON: a head must have one of each · ?4 limit
SELECT s.id, s.until FROM segments AS s
WHERE s.until >= ?1 AND s.since <= ?2 AND NOT EXISTS (
    SELECT 1 FROM json_each(?3) AS list WHERE NOT EXISTS (
        SELECT 1 FROM json_each(list.value) AS word WHERE instr(s.head, word.value) > 0))
ORDER BY s.until DESC, s.id DESC LIMIT ?4
