-- Teams with a budget. ?1 teams as JSON, NULL means all · ?2 limit
SELECT id, name, budget, zone
FROM teams
WHERE deleted_at IS NULL AND budget IS NOT NULL AND (?1 IS NULL OR id IN (SELECT value FROM json_each(?1)))
ORDER BY id
LIMIT ?2
