-- Only if the statement before it in the batch changed something. `next_attempt_at` lies ahead by as long as the
-- writer may take to publish; after that the cron does it. A new token and a price take nothing away: they come
-- after all that may.
INSERT INTO outbox (id, kind, entity_id, priority, created_at, next_attempt_at)
SELECT ?1, ?2, ?3,
    iif(?2 = 'prices' OR EXISTS (
        SELECT 1 FROM tokens
        WHERE ?2 = 'token' AND id = ?3 AND version = 1 AND disabled_at IS NULL AND revoked_at IS NULL
    ), 2, 0),
    ?4, ?5
WHERE changes() > 0
