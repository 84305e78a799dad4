-- ?1: the counts as JSON, by message id, so that a second delivery adds nothing.
INSERT INTO usage_losses (message_id, at, dropped, unknown_tokens, undecodable)
SELECT value ->> 'message_id', ?2, value ->> 'dropped', value ->> 'unknown_tokens', value ->> 'undecodable'
FROM json_each(?1)
WHERE true
ON CONFLICT (message_id) DO NOTHING
