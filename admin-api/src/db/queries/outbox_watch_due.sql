SELECT due_at, kind, entity_id FROM outbox_watch WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2
