INSERT INTO tokens (id, name, team_id, description, scopes, ip_allow, limits, inject_faults, may_derive, expires_at, created_by, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)
