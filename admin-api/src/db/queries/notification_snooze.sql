-- Hides an open notification from a person. ?1 person, ?2 kind, ?3 subject, ?4 when it was opened, ?5 until
INSERT INTO notification_snoozes (user_id, kind, subject, opened_at, until)
SELECT ?1, kind, subject, ?4, ?5
FROM notifications
WHERE kind = ?2 AND subject = ?3 AND created_at = ?4
ON CONFLICT (user_id, kind, subject) DO UPDATE SET opened_at = excluded.opened_at, until = excluded.until
