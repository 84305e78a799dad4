-- If the statement before it changed something: no secret for a token that was revoked meanwhile.
INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, legacy, created_at)
SELECT ?1, ?2, ?3, ?4, 0, ?5
WHERE changes() > 0
