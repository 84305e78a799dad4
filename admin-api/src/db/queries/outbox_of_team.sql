-- Rows of a team's tokens up to priority ?2. It reads the team's tokens first, because the outbox may hold every token.
SELECT o.id, o.kind, o.entity_id, o.attempts, o.priority
FROM tokens AS t CROSS JOIN outbox AS o ON o.kind = 'token' AND o.entity_id = t.id
WHERE t.team_id = ?1 AND o.priority <= ?2
LIMIT ?3
