-- Secrets of tokens that were revoked before ?1 and since ?2; tokens revoked earlier have none left.
DELETE FROM token_secrets WHERE hash IN (
    SELECT s.hash FROM tokens AS t CROSS JOIN token_secrets AS s ON s.token_id = t.id
    WHERE t.revoked_at < ?1 AND t.revoked_at >= ?2 LIMIT ?3)
