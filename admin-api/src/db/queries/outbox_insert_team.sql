-- A row for each usable token of team ?1, if the statement before it changed something.
INSERT INTO outbox (id, kind, entity_id, priority, created_at, next_attempt_at)
SELECT 'obx_' || lower(hex(randomblob(12))), 'token', id, 1, ?2, ?3
FROM tokens
WHERE team_id = ?1 AND revoked_at IS NULL AND changes() > 0
