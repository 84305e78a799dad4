-- The texts of all blocks of some segments. ?1 ids of segments as JSON
SELECT b.segment, b.n, s.object, b.start, b.bytes, b.body
FROM json_each(?1) AS wanted CROSS JOIN blocks AS b CROSS JOIN segments AS s
WHERE b.segment = wanted.value AND s.id = b.segment
