-- Only while its maker has fewer than ?10 keys that work.
INSERT INTO api_keys (id, name, made_by, roles, read_only, may, ip_allow, created_at, expires_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
WHERE (SELECT count(*) FROM api_keys
    WHERE made_by = ?3 AND revoked_at IS NULL AND expires_at > ?8) < ?10
