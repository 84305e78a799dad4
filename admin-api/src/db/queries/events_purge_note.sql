-- Runs before raw calls are deleted. Notes the time since which they are complete, for a consumer with another
-- retention. ?1 before · ?2 now
INSERT INTO settings (key, value, updated_at)
SELECT 'events-purged', CAST(?1 AS TEXT), ?2 WHERE EXISTS (SELECT 1 FROM usage_events WHERE at < ?1)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
WHERE CAST(settings.value AS INTEGER) < CAST(excluded.value AS INTEGER)
