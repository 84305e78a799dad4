SELECT t.id, t.name, t.team_id, t.ip_allow, t.created_at, t.expires_at, t.disabled_at, t.revoked_at, s.ends_at
FROM token_secrets AS s JOIN tokens AS t ON t.id = s.token_id
WHERE s.hash = ?1
