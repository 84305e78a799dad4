SELECT tokens.id, tokens.name, tokens.team_id, tokens.description, tokens.scopes, tokens.ip_allow,
    tokens.limits, tokens.inject_faults, tokens.may_derive,
    tokens.expires_at, tokens.disabled_at, tokens.disabled_by, tokens.revoked_at, tokens.created_by, tokens.created_at,
    tokens.updated_at, tokens.last_used_at, tokens.version,
    (SELECT s.hint_start FROM token_secrets AS s WHERE s.token_id = tokens.id ORDER BY s.created_at DESC LIMIT 1) AS hint_start,
    (SELECT s.hint_end FROM token_secrets AS s WHERE s.token_id = tokens.id ORDER BY s.created_at DESC LIMIT 1) AS hint_end
FROM tokens
WHERE tokens.id = ?1
