-- Deletes what hides nothing any more: its time is over, or its notification. ?1 now · ?2 limit
DELETE FROM notification_snoozes
WHERE (user_id, kind, subject) IN (
    SELECT s.user_id, s.kind, s.subject
    FROM notification_snoozes AS s LEFT JOIN notifications AS n ON n.kind = s.kind AND n.subject = s.subject
    WHERE s.until <= ?1 OR n.kind IS NULL OR n.created_at <> s.opened_at
    LIMIT ?2)
