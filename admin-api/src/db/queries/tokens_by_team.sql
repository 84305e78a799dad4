-- ?1 teams as JSON, NULL means all
SELECT t.id AS team_id, t.name, count(k.id) AS tokens
FROM teams AS t LEFT JOIN tokens AS k ON k.team_id = t.id AND k.revoked_at IS NULL
WHERE t.deleted_at IS NULL AND (?1 IS NULL OR t.id IN (SELECT value FROM json_each(?1)))
GROUP BY t.id
ORDER BY tokens DESC, t.id
