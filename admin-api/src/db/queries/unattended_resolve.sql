-- Resolves notifications about tokens that have expired, or whose maker may change them again. ?1 now
UPDATE notifications SET resolved_at = ?1, updated_at = ?1
WHERE kind = 'token-unattended' AND resolved_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM tokens AS t JOIN users AS u ON u.id = t.created_by
        WHERE t.id = subject AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?1)
            AND (u.deleted_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM memberships AS m
                WHERE m.user_id = u.id AND ((m.team_id = 'core-team' AND m.role = 'ADMIN')
                    OR (m.team_id = t.team_id AND m.role IN ('DEVELOPER', 'MANAGER', 'ADMIN'))))))
