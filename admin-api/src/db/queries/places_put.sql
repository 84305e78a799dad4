-- ?1 tokens and places as JSON · ?2 now
INSERT INTO token_places (token_id, place, first_at, seen_at)
SELECT value ->> 'token', value ->> 'place', ?2, ?2 FROM json_each(?1)
WHERE EXISTS (SELECT 1 FROM tokens WHERE id = value ->> 'token')
ON CONFLICT (token_id, place) DO UPDATE SET seen_at = excluded.seen_at
