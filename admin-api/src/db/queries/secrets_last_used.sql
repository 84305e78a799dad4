-- Keeps the maximum, so repeats and order do not matter. The beginning of a hash distinguishes a token's few secrets.
UPDATE token_secrets SET last_used_at = max(coalesce(token_secrets.last_used_at, 0), used.at)
FROM (SELECT value ->> 'token_id' AS token_id, value ->> 'secret' AS secret, max(value ->> 'at') AS at
    FROM json_each(?1) WHERE value ->> 'secret' IS NOT NULL GROUP BY 1, 2) AS used
WHERE token_secrets.token_id = used.token_id AND substr(token_secrets.hash, 1, length(used.secret)) = used.secret
