-- Same as tokens_list_oldest.sql, but only for the teams ?1: the first page of each by its own index.
SELECT tokens.id, tokens.name, tokens.team_id, tokens.description, tokens.scopes, tokens.ip_allow,
    tokens.limits, tokens.inject_faults, tokens.may_derive,
    tokens.expires_at, tokens.disabled_at, tokens.disabled_by, tokens.revoked_at, tokens.created_by, tokens.created_at,
    tokens.updated_at, tokens.last_used_at, tokens.version,
    (SELECT s.hint_start FROM token_secrets AS s WHERE s.token_id = tokens.id ORDER BY s.created_at DESC LIMIT 1) AS hint_start,
    (SELECT s.hint_end FROM token_secrets AS s WHERE s.token_id = tokens.id ORDER BY s.created_at DESC LIMIT 1) AS hint_end
FROM json_each(?1) AS team JOIN tokens ON tokens.id IN (
    SELECT k.id FROM tokens AS k
    WHERE k.team_id = team.value AND (k.created_at, k.id) > (?5, ?6)
        AND (?2 IS NULL OR instr(lower(k.name), lower(?2)) > 0 OR k.id = ?2
            -- Secrets are read for a text that may begin one, and only for tokens whose name differs.
            OR (?2 GLOB 'ntk_*' AND EXISTS (
                SELECT 1 FROM token_secrets AS s WHERE s.token_id = k.id AND instr(s.hint_start, ?2) = 1)))
        AND (?3 IS NULL OR ?3 = CASE
            WHEN k.revoked_at IS NOT NULL THEN 'revoked'
            WHEN k.disabled_at IS NOT NULL THEN 'disabled'
            WHEN k.expires_at <= ?4 THEN 'expired'
            ELSE 'active' END)
    ORDER BY k.created_at ASC, k.id ASC
    LIMIT ?7)
ORDER BY tokens.created_at ASC, tokens.id ASC
LIMIT ?7
