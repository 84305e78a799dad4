-- Tokens as published to KV. ?1 ids as JSON
SELECT t.id, t.name, t.team_id, t.scopes, t.ip_allow, t.limits, t.inject_faults, t.may_derive, t.expires_at, t.disabled_at, t.revoked_at, t.version, t.updated_at,
    teams.scope_cap, teams.limits AS team_limits, teams.budget AS team_budget, teams.zone
FROM tokens AS t JOIN teams ON teams.id = t.team_id
WHERE t.id IN (SELECT value FROM json_each(?1))
