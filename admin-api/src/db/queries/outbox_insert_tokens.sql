-- A row for each of the tokens ?1 (JSON), due at ?3.
INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at)
SELECT 'obx_' || lower(hex(randomblob(12))), 'token', value, ?2, ?3
FROM json_each(?1)
WHERE true
