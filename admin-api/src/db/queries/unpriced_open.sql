SELECT subject, updated_at FROM notifications WHERE kind = 'model-unpriced' AND resolved_at IS NULL
