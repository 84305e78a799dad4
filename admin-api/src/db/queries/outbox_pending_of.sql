-- Which of the tokens ?1 (JSON) have changes that KV has not taken.
SELECT DISTINCT entity_id AS id FROM outbox
WHERE kind = 'token' AND entity_id IN (SELECT value FROM json_each(?1))
