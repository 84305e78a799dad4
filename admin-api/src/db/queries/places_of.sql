-- The places of tokens (?1, JSON) that are known.
SELECT token_id, place, first_at, seen_at FROM token_places WHERE token_id IN (SELECT value FROM json_each(?1))
