INSERT INTO idempotency_keys (actor, endpoint, key, request_digest, entity_id, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
