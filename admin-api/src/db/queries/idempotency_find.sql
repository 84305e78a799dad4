SELECT request_digest, entity_id FROM idempotency_keys WHERE actor = ?1 AND endpoint = ?2 AND key = ?3
