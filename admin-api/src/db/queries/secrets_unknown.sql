-- Those of the hashes ?1 (JSON) that belong to no token.
SELECT value AS hash FROM json_each(?1)
WHERE NOT EXISTS (SELECT 1 FROM token_secrets AS s WHERE s.hash = value)
