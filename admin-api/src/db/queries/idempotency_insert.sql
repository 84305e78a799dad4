-- Only if the secret that the request made exists. ?7 its hash
INSERT INTO idempotency_keys (actor, endpoint, key, request_digest, entity_id, created_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6
WHERE EXISTS (SELECT 1 FROM token_secrets WHERE hash = ?7)
