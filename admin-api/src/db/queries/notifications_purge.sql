DELETE FROM notifications WHERE (kind, subject) IN (
    SELECT kind, subject FROM notifications WHERE resolved_at < ?1 LIMIT ?2)
