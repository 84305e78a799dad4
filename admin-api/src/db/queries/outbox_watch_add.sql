-- Runs before the rows ?1 (JSON ids) are deleted: their subjects are compared at ?2. A republication is not compared,
-- because it changes nothing: every later change of a token has a row of its own.
INSERT OR IGNORE INTO outbox_watch (due_at, kind, entity_id)
SELECT ?2, kind, entity_id FROM outbox
WHERE id IN (SELECT value FROM json_each(?1)) AND priority < 3 AND kind IN ('token', 'routes')
