INSERT INTO users (id, created_at, updated_at) VALUES (?1, ?2, ?2)
ON CONFLICT (id) DO NOTHING
