-- Resolves notifications about tokens that no longer expire between ?1 and ?2.
UPDATE notifications INDEXED BY notifications_open_by_kind SET resolved_at = ?1
WHERE kind = 'token-expiring' AND resolved_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM tokens AS t
        WHERE t.id = subject AND t.revoked_at IS NULL AND t.expires_at > ?1 AND t.expires_at <= ?2)
