-- Only if the statement before it in the batch changed something: a change that was not made is not
-- recorded as done.
INSERT INTO audit (id, at, actor, action, result, entity, entity_id, team_id, before, after, client_ip, request_id)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
WHERE changes() > 0
