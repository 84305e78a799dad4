-- ?1 channel · ?2, ?3 time and id of the last row seen · ?4 limit
SELECT id, event, subject, more, state, due_at, attempts, next_at, tried_at, status, response
FROM deliveries
WHERE channel_id = ?1 AND (due_at, id) < (?2, ?3)
ORDER BY due_at DESC, id DESC
LIMIT ?4
