-- ?1 id · ?2 the caller
SELECT t.id, t.name, t.description, t.color, t.icon, t.scope_cap, t.limits, t.budget, t.zone, t.created_at, t.updated_at, t.version,
    (SELECT count(*) FROM memberships AS m JOIN users AS u ON u.id = m.user_id
        WHERE m.team_id = t.id AND u.deleted_at IS NULL) AS members,
    (SELECT count(*) FROM tokens AS k WHERE k.team_id = t.id AND k.revoked_at IS NULL) AS tokens,
    (SELECT m.role FROM memberships AS m WHERE m.team_id = t.id AND m.user_id = ?2) AS your_role
FROM teams AS t
WHERE t.id = ?1 AND t.deleted_at IS NULL
