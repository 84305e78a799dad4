-- Keeps the maximum, so repeats and order do not matter.
UPDATE tokens SET last_used_at = max(coalesce(tokens.last_used_at, 0), used.at)
FROM (SELECT value ->> 'token_id' AS token_id, max(value ->> 'at') AS at FROM json_each(?1) GROUP BY 1) AS used
WHERE tokens.id = used.token_id
