DELETE FROM idempotency_keys WHERE (actor, endpoint, key) IN (
    SELECT actor, endpoint, key FROM idempotency_keys WHERE created_at < ?1 LIMIT ?2)
