-- Resolves notifications whose reason is gone: spikes that were not renewed for an hour, places of a day ago, budgets that are
-- free again, a publication that has caught up, channels that work, are disabled or gone. ?1 now · ?2 publication is late since
UPDATE notifications INDEXED BY notifications_open_by_kind SET resolved_at = ?1
WHERE kind IN ('token-spike', 'token-elsewhere', 'budget-used', 'publication-late', 'channel-failing') AND resolved_at IS NULL
    AND CASE kind
        WHEN 'token-spike' THEN updated_at < ?1 - 3600000
        WHEN 'token-elsewhere' THEN updated_at < ?1 - 86400000
        WHEN 'budget-used' THEN details ->> 'resets_at' <= ?1
        WHEN 'publication-late' THEN NOT EXISTS (SELECT 1 FROM outbox WHERE created_at <= ?2)
        ELSE NOT EXISTS (SELECT 1 FROM channels WHERE id = subject AND enabled = 1 AND failing_since <= ?1 - 86400000) END
