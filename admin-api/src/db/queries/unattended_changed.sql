-- Somebody with permission has just changed token ?1, so it is no longer unattended. ?2 the time of the change
UPDATE notifications SET resolved_at = ?2, updated_at = ?2
WHERE kind = 'token-unattended' AND subject = ?1 AND resolved_at IS NULL
    AND EXISTS (SELECT 1 FROM tokens AS t WHERE t.id = ?1 AND t.updated_at = ?2)
