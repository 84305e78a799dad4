-- A token's own limits and its team's.
SELECT t.limits, teams.limits AS team_limits
FROM tokens AS t JOIN teams ON teams.id = t.team_id
WHERE t.id = ?1
