INSERT INTO webhook_messages (id, received_at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING
