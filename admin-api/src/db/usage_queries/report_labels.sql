-- Labels of all tokens, the latest day first. ?1 the first day · ?2 the last day · ?3 the token, null for all · ?4 bytes
-- after which no more are read
SELECT day, team_id, token_id, sums FROM (
    SELECT *, sum(octet_length(sums)) OVER (ORDER BY day DESC, team_id, token_id) - octet_length(sums) AS before
    FROM labels WHERE day >= ?1 AND day <= ?2 AND (?3 IS NULL OR token_id = ?3))
WHERE before < ?4
ORDER BY day DESC
