-- The texts of blocks. ?1 segments and blocks as JSON
SELECT b.segment, b.n, s.object, b.start, b.bytes, b.body
FROM json_each(?1) AS wanted CROSS JOIN blocks AS b CROSS JOIN segments AS s
WHERE b.segment = wanted.value ->> 0 AND b.n = wanted.value ->> 1 AND s.id = b.segment
