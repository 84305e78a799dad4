-- The limits of live tokens and of their teams, where there are any. ?1 ids of tokens as JSON
SELECT t.id, t.name, t.team_id, t.limits, teams.name AS team_name, teams.limits AS team_limits, teams.budget, teams.zone
FROM tokens AS t JOIN teams ON teams.id = t.team_id
WHERE t.id IN (SELECT value FROM json_each(?1)) AND t.revoked_at IS NULL
    AND (t.limits IS NOT NULL OR teams.limits IS NOT NULL OR teams.budget IS NOT NULL)
