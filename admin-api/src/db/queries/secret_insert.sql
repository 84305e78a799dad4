INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, legacy, created_at)
VALUES (?1, ?2, ?3, ?4, 0, ?5)
