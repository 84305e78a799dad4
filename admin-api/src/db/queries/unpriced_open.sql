SELECT subject, updated_at FROM notifications INDEXED BY notifications_open_by_kind WHERE kind = 'model-unpriced' AND resolved_at IS NULL
