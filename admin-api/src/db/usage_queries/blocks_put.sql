-- ?1 segment, NULL for the one that was added last · ?2 blocks as JSON
INSERT INTO blocks (segment, n, since, until, head, start, bytes)
SELECT coalesce(?1, (SELECT max(id) FROM segments)), value ->> 'n', value ->> 'since', value ->> 'until',
    value ->> 'head', value ->> 'start', value ->> 'bytes'
FROM json_each(?2)
