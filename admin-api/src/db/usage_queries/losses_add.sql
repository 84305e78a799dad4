-- ?1 losses as JSON, by message, so that a second delivery adds nothing · ?2 now
INSERT INTO losses (message, at, dropped, unknown_tokens, undecodable)
SELECT value ->> 'message', ?2, value ->> 'dropped', value ->> 'unknown_tokens', value ->> 'undecodable'
FROM json_each(?1) WHERE true
ON CONFLICT (message) DO NOTHING
