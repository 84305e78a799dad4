-- ?1 teams as JSON, NULL means all · ?2 part of name or id · ?3, ?4 name and id of the last row seen
-- ?5 limit · ?6 the caller
SELECT t.id, t.name, t.description, t.color, t.icon, t.scope_cap, t.limits, t.budget, t.zone, t.created_at, t.updated_at, t.version,
    (SELECT count(*) FROM memberships AS m JOIN users AS u ON u.id = m.user_id
        WHERE m.team_id = t.id AND u.deleted_at IS NULL) AS members,
    (SELECT count(*) FROM tokens AS k WHERE k.team_id = t.id AND k.revoked_at IS NULL) AS tokens,
    (SELECT m.role FROM memberships AS m WHERE m.team_id = t.id AND m.user_id = ?6) AS your_role
FROM teams AS t
WHERE t.deleted_at IS NULL
    AND (t.name COLLATE NOCASE, t.id) > (?3, ?4)
    AND (?1 IS NULL OR t.id IN (SELECT value FROM json_each(?1)))
    AND (?2 IS NULL OR instr(lower(t.name), lower(?2)) > 0 OR instr(t.id, lower(?2)) > 0)
ORDER BY t.name COLLATE NOCASE, t.id
LIMIT ?5
