-- ?1 segment, NULL for the one that was added last · ?2 numbers and texts of blocks as JSON
INSERT INTO block_texts (segment, n, body)
SELECT coalesce(?1, (SELECT max(id) FROM segments)), value ->> 0, value ->> 1 FROM json_each(?2)
