-- The texts of blocks. ?1 segments and numbers of blocks as JSON
SELECT b.segment, b.n, s.object, b.start, b.bytes, coalesce(t.body, '') AS body
FROM json_each(?1) AS wanted
    CROSS JOIN blocks AS b ON b.segment = wanted.value ->> 0 AND b.n = wanted.value ->> 1
    CROSS JOIN segments AS s ON s.id = b.segment
    LEFT JOIN block_texts AS t ON t.segment = b.segment AND t.n = b.n
