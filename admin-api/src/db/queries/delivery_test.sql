-- A test that was sent, unless its channel was deleted meanwhile. ?1 id · ?2 channel · ?3 alert as JSON · ?4 state · ?5 now ·
-- ?6 status · ?7 beginning of the response
INSERT INTO deliveries (id, channel_id, event, subject, alert, state, due_at, attempts, next_at, tried_at, status, response)
SELECT ?1, ?2, 'test', ?2, ?3, ?4, ?5, 1, ?5, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM channels WHERE id = ?2)
