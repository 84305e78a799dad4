-- A refused attempt. Repeats within a minute share one row, which says how many there were and when the last was;
-- beyond ?3 rows of one person in a minute, all others share one row too. A row that is chained no longer changes, so a
-- repeat that comes later has a row of its own.
-- ?1 beginning of the id: person and minute · ?2 its end: the attempt · ?4 now · ?5 actor · ?6 action · ?7 entity
-- ?8 its id · ?9 team · ?10 client's address · ?11 request id
INSERT INTO audit (id, at, actor, action, result, entity, entity_id, team_id, client_ip, request_id)
SELECT shared || coalesce('.' || nullif((
        SELECT count(*) FROM audit WHERE id >= shared AND id < shared || '~' AND hash IS NOT NULL), 0), ''),
    ?4, ?5, ?6, 'refused', ?7, ?8, ?9, ?10, ?11
FROM (SELECT ?1 || iif(
        EXISTS (SELECT 1 FROM audit WHERE id = ?1 || ?2)
            OR (SELECT count(*) FROM (SELECT 1 FROM audit WHERE id >= ?1 AND id < ?1 || '~' LIMIT ?3)) < ?3,
        ?2, 'others') AS shared)
WHERE true
ON CONFLICT (id) DO UPDATE SET
    after = json_object('times', coalesce(after ->> 'times', 1) + 1, 'last_at', excluded.at)
