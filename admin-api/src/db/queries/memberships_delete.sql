DELETE FROM memberships
WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM users WHERE id = ?1 AND deleted_at IS NOT NULL)
