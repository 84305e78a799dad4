DELETE FROM webhook_messages
WHERE id IN (SELECT id FROM webhook_messages WHERE received_at < ?1 ORDER BY received_at LIMIT ?2)
