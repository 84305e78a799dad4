-- Forgets places of tokens (?1, JSON) that were not seen since ?2.
DELETE FROM token_places WHERE token_id IN (SELECT value FROM json_each(?1)) AND seen_at < ?2
