-- Also inserts an unknown person as deleted: a late message must not bring them back.
INSERT INTO users (id, created_at, updated_at, deleted_at) VALUES (?1, ?2, ?2, ?2)
ON CONFLICT (id) DO UPDATE SET deleted_at = ?2, updated_at = ?2, email_verified = 0
WHERE deleted_at IS NULL
