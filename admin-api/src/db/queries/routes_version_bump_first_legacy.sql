-- Only if no secret of the earlier form could still work: the published table then says that none is looked up.
UPDATE settings SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT), updated_at = ?1
WHERE key = 'routes-version'
    AND NOT EXISTS (SELECT 1 FROM token_secrets AS s JOIN tokens AS t ON t.id = s.token_id
        WHERE s.legacy = 1 AND t.revoked_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > ?1))
