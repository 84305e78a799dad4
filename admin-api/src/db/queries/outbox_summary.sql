SELECT count(*) AS pending, min(created_at) AS oldest_at FROM outbox
