-- A token's own limits and its team's, with the team's budget and time zone.
SELECT t.limits, teams.limits AS team_limits, teams.id AS team_id, teams.budget, teams.zone
FROM tokens AS t JOIN teams ON teams.id = t.team_id
WHERE t.id = ?1
