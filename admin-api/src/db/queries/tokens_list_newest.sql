-- ?1 teams as JSON, NULL means all · ?2 part of the name, the id, or the beginning of a secret · ?3 state · ?4 now
-- ?5, ?6 sort value and id of the last row seen: a search in the index, even for a deep page · ?7 limit
SELECT tokens.id, tokens.name, tokens.team_id, tokens.description, tokens.scopes, tokens.ip_allow,
    tokens.limits, tokens.inject_faults, tokens.may_derive,
    tokens.expires_at, tokens.disabled_at, tokens.disabled_by, tokens.revoked_at, tokens.created_by, tokens.created_at,
    tokens.updated_at, tokens.last_used_at, tokens.version,
    (SELECT s.hint_start FROM token_secrets AS s WHERE s.token_id = tokens.id ORDER BY s.created_at DESC LIMIT 1) AS hint_start,
    (SELECT s.hint_end FROM token_secrets AS s WHERE s.token_id = tokens.id ORDER BY s.created_at DESC LIMIT 1) AS hint_end
FROM tokens
WHERE (tokens.created_at, tokens.id) < (?5, ?6)
    AND (?1 IS NULL OR tokens.team_id IN (SELECT value FROM json_each(?1)))
    AND (?2 IS NULL OR instr(lower(tokens.name), lower(?2)) > 0 OR tokens.id = ?2
        -- Secrets are read for a text that may begin one, and only for tokens whose name differs.
        OR (?2 GLOB 'ntk_*' AND EXISTS (
            SELECT 1 FROM token_secrets AS s WHERE s.token_id = tokens.id AND instr(s.hint_start, ?2) = 1)))
    AND (?3 IS NULL OR ?3 = CASE
        WHEN tokens.revoked_at IS NOT NULL THEN 'revoked'
        WHEN tokens.disabled_at IS NOT NULL THEN 'disabled'
        WHEN tokens.expires_at <= ?4 THEN 'expired'
        ELSE 'active' END)
ORDER BY tokens.created_at DESC, tokens.id DESC
LIMIT ?7
