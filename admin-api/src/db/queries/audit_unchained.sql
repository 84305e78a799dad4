-- The entry chained last, ?1, and what is behind it: up to ?2 rows in all, and no more once those behind it have ?3
-- characters, so that a round fits into memory. One entry is always among them.
SELECT seq, id, at, actor, action, result, entity, entity_id, team_id, before, after, client_ip, request_id, hash
FROM audit
WHERE seq >= ?1 AND seq <= (
    SELECT max(seq) FROM (
        SELECT seq, sum(size) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS size_before
        FROM (SELECT seq, iif(seq = ?1, 0, coalesce(length(before), 0) + coalesce(length(after), 0)) AS size
            FROM audit WHERE seq >= ?1
            ORDER BY seq LIMIT ?2))
    WHERE coalesce(size_before, 0) < ?3)
ORDER BY seq
