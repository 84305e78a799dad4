-- ?1 teams as JSON, NULL means all · ?2 whether to include those without a team · ?3, ?4 time and subject of the
-- last row seen · ?5 limit · ?6 the kinds that this version knows, as JSON · ?7 who asks, and may have hidden some · ?8 now
SELECT kind, subject, team_id, details, created_at, updated_at
FROM notifications
WHERE resolved_at IS NULL AND kind IN (SELECT value FROM json_each(?6))
    -- Channels may be told of smaller shares than the bell.
    AND (kind <> 'budget-used' OR details ->> 'step' >= 80)
    AND (created_at, kind || ' ' || subject) < (?3, ?4)
    AND ((team_id IS NULL AND ?2) OR (team_id IS NOT NULL AND (?1 IS NULL OR team_id IN (SELECT value FROM json_each(?1)))))
    AND NOT EXISTS (
        SELECT 1 FROM notification_snoozes AS s
        WHERE s.user_id = ?7 AND s.kind = notifications.kind AND s.subject = notifications.subject
            AND s.opened_at = notifications.created_at AND s.until > ?8)
ORDER BY created_at DESC, kind || ' ' || subject DESC
LIMIT ?5
