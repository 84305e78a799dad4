-- How usage is stored: for the health report. The consumer's latest batch may be folded or not; imports say nothing
-- about it.
SELECT coalesce((SELECT at FROM inbox WHERE lag_ms >= 0 ORDER BY id DESC LIMIT 1), s.stored_at) AS stored_at,
    coalesce((SELECT lag_ms FROM inbox WHERE lag_ms >= 0 ORDER BY id DESC LIMIT 1), s.lag_ms) AS lag_ms,
    (SELECT min(at) FROM inbox) AS oldest_at
FROM state AS s
