-- ?1 people as JSON · ?2 visible teams as JSON, NULL means all
SELECT m.user_id, m.team_id, t.name AS team_name, m.role
FROM memberships AS m JOIN teams AS t ON t.id = m.team_id
WHERE m.user_id IN (SELECT value FROM json_each(?1))
    AND (?2 IS NULL OR m.team_id IN (SELECT value FROM json_each(?2)))
ORDER BY t.name COLLATE NOCASE, t.id
