-- The hash of the entry chained last, ?1, and the time of the oldest one that is not chained.
SELECT (SELECT hash FROM audit WHERE seq = ?1) AS hash,
    (SELECT at FROM audit WHERE seq > ?1 ORDER BY seq LIMIT 1) AS waiting_since
