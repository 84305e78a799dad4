-- Those of the tokens ?1 (JSON) that have changes not yet in KV.
SELECT DISTINCT entity_id AS id FROM outbox
WHERE kind = 'token' AND entity_id IN (SELECT value FROM json_each(?1))
