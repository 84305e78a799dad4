-- Takes a delivery that is due at ?1, until ?2: no other run takes it before. If the run dies, it is tried again under the
-- same id.
UPDATE deliveries SET attempts = attempts + 1, next_at = ?2, tried_at = ?1
WHERE id = (SELECT id FROM deliveries WHERE state = 'waiting' AND next_at <= ?1 ORDER BY next_at LIMIT 1)
RETURNING id, channel_id, event, subject, alert, more, due_at, attempts,
    (SELECT sealed FROM channels WHERE channels.id = channel_id) AS sealed,
    (SELECT language FROM channels WHERE channels.id = channel_id) AS language,
    (SELECT enabled FROM channels WHERE channels.id = channel_id) AS enabled
