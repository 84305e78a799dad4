-- Before the rows ?1 (JSON ids) are taken away: what they published is compared at ?2. A republication is not, as it
-- changes nothing: whatever has changed a token since has a row of its own.
INSERT OR IGNORE INTO outbox_watch (due_at, kind, entity_id)
SELECT ?2, kind, entity_id FROM outbox
WHERE id IN (SELECT value FROM json_each(?1)) AND priority < 3 AND kind IN ('token', 'routes')
