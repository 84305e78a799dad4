-- The deliveries of a channel (?1) that fails wait, those that are due before ?2 until then.
UPDATE deliveries SET next_at = ?2
WHERE id IN (SELECT id FROM deliveries INDEXED BY deliveries_due WHERE state = 'waiting' AND next_at < ?2 AND channel_id = ?1)
