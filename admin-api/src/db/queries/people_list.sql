-- Newest first. ?1 teams whose members are visible, as JSON, NULL means everybody · ?2 part of name,
-- address or id · ?3 a team · ?4, ?5 time and id of the last row seen · ?6 limit
SELECT u.id, u.email, u.name, u.avatar_url, u.last_sign_in_at, u.created_at
FROM users AS u
WHERE u.deleted_at IS NULL
    AND (u.created_at, u.id) < (?4, ?5)
    AND (?1 IS NULL OR EXISTS (SELECT 1 FROM memberships AS m
        WHERE m.user_id = u.id AND m.team_id IN (SELECT value FROM json_each(?1))))
    AND (?2 IS NULL OR instr(lower(coalesce(u.name, '')), lower(?2)) > 0
        OR instr(lower(coalesce(u.email, '')), lower(?2)) > 0 OR instr(lower(u.id), lower(?2)) > 0)
    AND (?3 IS NULL OR EXISTS (SELECT 1 FROM memberships AS m WHERE m.user_id = u.id AND m.team_id = ?3))
ORDER BY u.created_at DESC, u.id DESC
LIMIT ?6
