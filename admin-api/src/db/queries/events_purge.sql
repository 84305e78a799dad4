-- Deletes in chunks, because D1 is single-threaded and one long delete would delay every call.
DELETE FROM usage_events WHERE id IN (SELECT id FROM usage_events WHERE at < ?1 ORDER BY at, id LIMIT ?2)
