DELETE FROM notifications WHERE resolved_at < ?1
