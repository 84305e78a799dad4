-- The team of a token. ?1 token
SELECT team_id FROM tokens WHERE id = ?1
