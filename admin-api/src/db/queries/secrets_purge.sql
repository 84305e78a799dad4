-- Secrets that ended before ?1: of a rotation, or with their token. KV has forgotten them long since.
DELETE FROM token_secrets WHERE hash IN (
    SELECT s.hash FROM token_secrets AS s JOIN tokens AS t ON t.id = s.token_id
    WHERE s.ends_at < ?1 OR t.revoked_at < ?1 LIMIT ?2)
