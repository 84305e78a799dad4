-- Labels of teams' tokens, the latest day first. ?1 days as JSON · ?2 teams as JSON · ?3 the token, null for all · ?4 bytes
-- after which no more are read
SELECT day, team_id, token_id, sums FROM (
    SELECT l.*, sum(octet_length(l.sums)) OVER (ORDER BY l.day DESC, l.team_id, l.token_id) - octet_length(l.sums)
        AS before
    FROM json_each(?1) AS days CROSS JOIN json_each(?2) AS teams
    CROSS JOIN labels AS l ON l.day = days.value AND l.team_id = teams.value
    WHERE ?3 IS NULL OR l.token_id = ?3)
WHERE before < ?4
ORDER BY day DESC
