-- A row for each of the tokens ?1 (JSON), due at ?3; tokens that must be refused come first.
INSERT INTO outbox (id, kind, entity_id, priority, created_at, next_attempt_at)
SELECT 'obx_' || lower(hex(randomblob(12))), 'token', value,
    iif(coalesce(t.revoked_at, t.disabled_at) IS NULL, 1, 0), ?2, ?3
FROM json_each(?1) LEFT JOIN tokens AS t ON t.id = value
WHERE true
