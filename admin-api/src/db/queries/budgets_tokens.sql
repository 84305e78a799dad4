-- Tokens that may have used up a limit: those that called since ?2 and have limits, the latest first.
-- ?1 teams as JSON, NULL means all · ?2 since · ?3 now · ?4 limit
SELECT t.id, t.name, t.team_id, t.limits, teams.limits AS team_limits, teams.zone
FROM tokens AS t JOIN teams ON teams.id = t.team_id
WHERE t.last_used_at >= ?2 AND t.revoked_at IS NULL AND t.disabled_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?3)
    AND (t.limits IS NOT NULL OR teams.limits IS NOT NULL)
    AND (?1 IS NULL OR t.team_id IN (SELECT value FROM json_each(?1)))
ORDER BY t.last_used_at DESC
LIMIT ?4
