-- The table's version, and whether tokens of the earlier form must be looked up because one could still work.
SELECT CAST(value AS INTEGER) AS version,
    EXISTS (SELECT 1 FROM token_secrets AS s JOIN tokens AS t ON t.id = s.token_id
        WHERE s.legacy = 1 AND t.revoked_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > ?1)) AS legacy_tokens
FROM settings
WHERE key = 'routes-version'
