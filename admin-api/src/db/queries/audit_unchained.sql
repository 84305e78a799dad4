-- The entry chained last, ?1, and up to ?2 entries behind it.
SELECT seq, id, at, actor, action, result, entity, entity_id, team_id, before, after, client_ip, request_id, hash
FROM audit
WHERE seq >= ?1
ORDER BY seq
LIMIT ?2
