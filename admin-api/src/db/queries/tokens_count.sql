-- The rows of all pages of tokens_list_*.sql. ?1 teams as JSON, NULL means all · ?2 part of the name, the id, or the
-- beginning of a secret · ?3 state · ?4 now
SELECT count(*) AS count
FROM tokens
WHERE (?1 IS NULL OR tokens.team_id IN (SELECT value FROM json_each(?1)))
    AND (?2 IS NULL OR instr(lower(tokens.name), lower(?2)) > 0 OR tokens.id = ?2
        OR (?2 GLOB 'ntk_*' AND EXISTS (
            SELECT 1 FROM token_secrets AS s WHERE s.token_id = tokens.id AND instr(s.hint_start, ?2) = 1)))
    AND (?3 IS NULL OR ?3 = CASE
        WHEN tokens.revoked_at IS NOT NULL THEN 'revoked'
        WHEN tokens.disabled_at IS NOT NULL THEN 'disabled'
        WHEN tokens.expires_at <= ?4 THEN 'expired'
        ELSE 'active' END)
