-- Only where the statement before it in the batch changed something. `next_attempt_at` lies ahead by
-- as long as the writer may take to publish himself; after that the cron does it.
INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at)
SELECT ?1, ?2, ?3, ?4, ?5
WHERE changes() > 0
