SELECT id FROM webhook_messages WHERE id = ?1
