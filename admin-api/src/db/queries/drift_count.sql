SELECT count(*) AS entries FROM notifications INDEXED BY notifications_open_by_kind WHERE kind = 'kv-drift' AND resolved_at IS NULL
