-- Raw calls that are in no segment yet, those with the latest first. ?1 from · ?2 up to, inclusive · ?3 lists of words as
-- JSON: a head must have one of each
WITH lists AS MATERIALIZED (SELECT key AS list, value AS words FROM json_each(?3)),
words AS MATERIALIZED (SELECT list, word.value AS word FROM lists CROSS JOIN json_each(lists.words) AS word)
SELECT i.calls, i.until FROM inbox AS i
WHERE i.until >= ?1 AND i.since <= ?2 AND NOT EXISTS (
    SELECT 1 FROM lists WHERE NOT EXISTS (
        SELECT 1 FROM words WHERE words.list = lists.list AND (i.head = '' OR instr(i.head, words.word) > 0)))
ORDER BY i.until DESC
