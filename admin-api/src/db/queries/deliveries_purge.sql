-- ?1 before · ?2 limit
DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE due_at < ?1 AND state <> 'waiting' ORDER BY due_at LIMIT ?2)
