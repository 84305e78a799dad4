-- The texts of segments without blocks. ?1 ids as JSON
SELECT id, object, body FROM segments
WHERE id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (SELECT 1 FROM blocks WHERE segment = segments.id)
