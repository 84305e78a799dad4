-- Only if the statement before it changed something: a token that was just revoked gets no new secret.
INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, legacy, created_at)
SELECT ?1, ?2, ?3, ?4, 0, ?5
WHERE changes() > 0
