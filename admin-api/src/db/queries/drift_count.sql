SELECT count(*) AS entries FROM notifications WHERE kind = 'kv-drift' AND resolved_at IS NULL
