-- Has the cron write everything that KV is to hold once more: the route table and the prices first, then each
-- token. Of a revoked one its tombstone, where an older entry could still be somewhere.
INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at)
SELECT 'obx_' || lower(hex(randomblob(12))), kind, '', unixepoch() * 1000, 0
FROM (SELECT 'routes' AS kind UNION ALL SELECT 'prices');
INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at)
SELECT 'obx_' || lower(hex(randomblob(12))), 'token', id, unixepoch() * 1000, 1
FROM tokens
WHERE revoked_at IS NULL OR revoked_at > (unixepoch() - 2 * 86400) * 1000;
