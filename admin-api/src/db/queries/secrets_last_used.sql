-- Only if the noted use is five minutes older, or there is none. ?1 uses as JSON. The beginning of a hash distinguishes a
-- token's few secrets.
UPDATE token_secrets SET last_used_at = used.at
FROM (SELECT value ->> 'token_id' AS token_id, value ->> 'secret' AS secret, value ->> 'at' AS at
    FROM json_each(?1) WHERE value ->> 'secret' IS NOT NULL) AS used
WHERE token_secrets.token_id = used.token_id AND substr(token_secrets.hash, 1, length(used.secret)) = used.secret
    AND used.at >= coalesce(token_secrets.last_used_at, 0) + 300000
