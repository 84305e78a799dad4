SELECT id, email, name, avatar_url, last_sign_in_at, created_at
FROM users
WHERE id = ?1 AND deleted_at IS NULL
