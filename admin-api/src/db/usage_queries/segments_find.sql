-- Segments that may hold what is searched for, those with the latest calls first. ?1 from · ?2 up to, inclusive ·
-- ?3 lists of words as JSON: a head must have one of each · ?4 limit
WITH lists AS MATERIALIZED (SELECT key AS list, value AS words FROM json_each(?3)),
words AS MATERIALIZED (SELECT list, word.value AS word FROM lists CROSS JOIN json_each(lists.words) AS word)
SELECT s.id, s.until FROM segments AS s
WHERE s.until >= ?1 AND s.since <= ?2 AND NOT EXISTS (
    SELECT 1 FROM lists WHERE NOT EXISTS (
        SELECT 1 FROM words WHERE words.list = lists.list AND instr(s.head, words.word) > 0))
ORDER BY s.until DESC, s.id DESC LIMIT ?4
