-- A test that was sent. ?1 id · ?2 channel · ?3 alert as JSON · ?4 state · ?5 now · ?6 status · ?7 beginning of the response
INSERT INTO deliveries (id, channel_id, event, subject, alert, state, due_at, attempts, next_at, tried_at, status, response)
VALUES (?1, ?2, 'test', ?2, ?3, ?4, ?5, 1, ?5, ?5, ?6, ?7)
