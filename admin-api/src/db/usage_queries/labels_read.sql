-- Labels of tokens and days. ?1 these, as JSON
SELECT l.day, l.team_id, l.token_id, l.sums FROM json_each(?1) AS place
CROSS JOIN labels AS l ON l.day = place.value ->> 'day' AND l.team_id = place.value ->> 'team_id'
    AND l.token_id = place.value ->> 'token_id'
