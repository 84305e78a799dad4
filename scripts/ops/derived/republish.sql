-- Has the cron write everything that KV is to hold once more: the route table and the prices first, then each token,
-- the last used ones before the others, and behind whatever people change meanwhile. Of a revoked one its tombstone,
-- where an older entry could still be somewhere.
INSERT INTO outbox (id, kind, entity_id, priority, created_at, next_attempt_at)
SELECT 'obx_' || lower(hex(randomblob(12))), kind, '', 0, unixepoch() * 1000, 0
FROM (SELECT 'routes' AS kind UNION ALL SELECT 'prices');
INSERT INTO outbox (id, kind, entity_id, priority, created_at, next_attempt_at)
SELECT 'obx_' || lower(hex(randomblob(12))), 'token', id, 3, unixepoch() * 1000, unixepoch() * 1000 - coalesce(last_used_at, 0)
FROM tokens
WHERE revoked_at IS NULL OR revoked_at > (unixepoch() - 2 * 86400) * 1000;
