-- The oldest rows of a team's tokens.
SELECT o.id, o.kind, o.entity_id, o.attempts
FROM outbox AS o JOIN tokens AS t ON t.id = o.entity_id
WHERE o.kind = 'token' AND t.team_id = ?1
ORDER BY o.created_at, o.id
LIMIT ?2
