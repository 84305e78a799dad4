-- Only if the noted use is five minutes older, or there is none. ?1 uses as JSON
UPDATE tokens SET last_used_at = used.at
FROM (SELECT value ->> 'token_id' AS token_id, max(value ->> 'at') AS at FROM json_each(?1) GROUP BY 1) AS used
WHERE tokens.id = used.token_id AND used.at >= coalesce(tokens.last_used_at, 0) + 300000
