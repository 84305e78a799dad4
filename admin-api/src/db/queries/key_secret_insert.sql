-- Only if the statement before it changed something: a key that was just revoked gets no new secret.
INSERT INTO api_key_secrets (hash, key_id, hint_start, hint_end, created_at)
SELECT ?1, ?2, ?3, ?4, ?5
WHERE changes() > 0
