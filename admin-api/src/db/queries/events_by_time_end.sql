-- The end of the search of events_by_time: the last of ?5 calls. ?1 from · ?3, ?4 time and id of the last row seen
SELECT at, id FROM usage_events
WHERE ?2 IS NULL AND at >= ?1 AND (at, id) < (?3, ?4)
ORDER BY at DESC, id DESC
LIMIT 1 OFFSET ?5 - 1
