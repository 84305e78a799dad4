DELETE FROM usage_losses WHERE message_id IN (SELECT message_id FROM usage_losses WHERE at < ?1 ORDER BY at LIMIT ?2)
