-- The id of the last batch that was stored, folded or not, and what is waiting to be folded.
SELECT max(s.folded_to, coalesce((SELECT max(id) FROM inbox), 0)) AS last, s.folded_at,
    (SELECT coalesce(sum(octet_length(calls) + octet_length(sums)), 0) FROM inbox) AS waiting
FROM state AS s
