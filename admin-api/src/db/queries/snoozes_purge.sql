-- Deletes what hides nothing any more. ?1 now · ?2 limit
DELETE FROM notification_snoozes
WHERE (user_id, kind, subject) IN (
    SELECT user_id, kind, subject FROM notification_snoozes WHERE until <= ?1 LIMIT ?2)
