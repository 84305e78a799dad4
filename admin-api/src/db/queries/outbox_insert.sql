-- Only if the statement before it in the batch changed something. Until `next_attempt_at` the writer itself may
-- publish; after that the cron does it. New tokens and prices revoke nothing, so they come after rows that
-- may.
INSERT INTO outbox (id, kind, entity_id, priority, created_at, next_attempt_at)
SELECT ?1, ?2, ?3,
    iif(?2 = 'prices' OR EXISTS (
        SELECT 1 FROM tokens
        WHERE ?2 = 'token' AND id = ?3 AND version = 1 AND disabled_at IS NULL AND revoked_at IS NULL
    ), 2, 0),
    ?4, ?5
WHERE changes() > 0
