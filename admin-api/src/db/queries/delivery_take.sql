-- Takes deliveries that are due at ?1, until ?2: no other run takes them before. If the run dies, they are tried again under
-- the same ids. At most ?3, each of another channel that does not rest: first those of channels that work, and of a channel
-- the one that was tried least, so that one that its receiver cannot take holds up no other.
UPDATE deliveries SET attempts = attempts + 1, next_at = ?2, tried_at = ?1
WHERE id IN (
    SELECT id FROM (
        SELECT d.id, d.next_at, c.failing_since IS NOT NULL AS is_failing,
            row_number() OVER (PARTITION BY d.channel_id ORDER BY d.attempts, d.next_at, d.id) AS place
        FROM deliveries AS d INDEXED BY deliveries_due JOIN channels AS c ON c.id = d.channel_id
        WHERE d.state = 'waiting' AND d.next_at <= ?1 AND coalesce(c.rests_until, 0) <= ?1)
    WHERE place = 1 ORDER BY is_failing, next_at LIMIT ?3)
RETURNING id, channel_id, event, subject, alert, more, due_at, attempts,
    (SELECT sealed FROM channels WHERE channels.id = channel_id) AS sealed,
    (SELECT language FROM channels WHERE channels.id = channel_id) AS language,
    (SELECT enabled FROM channels WHERE channels.id = channel_id) AS enabled
