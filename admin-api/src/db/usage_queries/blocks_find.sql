-- Blocks that may hold what is searched for, in some segments; n is NULL for a segment without blocks. ?1 ids of segments
-- as JSON · ?2 from · ?3 up to, inclusive · ?4 lists of words as JSON: a head must have one of each
WITH lists AS MATERIALIZED (SELECT key AS list, value AS words FROM json_each(?4)),
words AS MATERIALIZED (SELECT list, word.value AS word FROM lists CROSS JOIN json_each(lists.words) AS word)
SELECT s.value AS segment, b.n, b.until
FROM json_each(?1) AS s LEFT JOIN blocks AS b ON b.segment = s.value
WHERE b.n IS NULL OR (b.until >= ?2 AND b.since <= ?3 AND NOT EXISTS (
    SELECT 1 FROM lists WHERE NOT EXISTS (
        SELECT 1 FROM words WHERE words.list = lists.list AND instr(b.head, words.word) > 0)))
