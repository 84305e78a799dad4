-- ?1 ids as JSON · ?2 now
UPDATE alerts SET planned_at = ?2 WHERE id IN (SELECT value FROM json_each(?1)) AND planned_at IS NULL
