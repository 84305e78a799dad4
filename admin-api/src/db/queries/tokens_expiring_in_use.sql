-- Tokens that expire soon and were used not long ago.
-- ?1 teams as JSON, NULL means all · ?2 now · ?3 until · ?4 used since · ?5 limit
SELECT id, name, team_id, expires_at, last_used_at
FROM tokens
WHERE revoked_at IS NULL AND disabled_at IS NULL AND expires_at > ?2 AND expires_at <= ?3 AND last_used_at >= ?4
    AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))
ORDER BY expires_at, id
LIMIT ?5
