-- Stores the hashes of entries: ?1 a list of {seq, previous, hash, after} as JSON. Only a refused attempt can have changed since it
-- was read, in `after`; it is left out then.
UPDATE audit SET previous_hash = n.value ->> 'previous', hash = n.value ->> 'hash'
FROM json_each(?1) AS n
WHERE audit.seq = n.value ->> 'seq' AND audit.hash IS NULL
    AND (audit.result = 'done' OR audit.after IS n.value ->> 'after')
