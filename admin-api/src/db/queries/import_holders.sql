-- The tokens of the hashes in ?1 (JSON).
SELECT s.hash, t.id, t.team_id FROM token_secrets AS s JOIN tokens AS t ON t.id = s.token_id
WHERE s.hash IN (SELECT value FROM json_each(?1))
