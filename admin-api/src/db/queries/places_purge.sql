-- Forgets places that were not seen since ?1. ?2 limit
DELETE FROM token_places
WHERE (token_id, place) IN (SELECT token_id, place FROM token_places WHERE seen_at < ?1 LIMIT ?2)
