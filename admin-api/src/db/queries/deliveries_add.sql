-- New deliveries (?1, JSON). The id says which alert of which channel it is, so a repeat adds nothing.
INSERT INTO deliveries (id, channel_id, event, subject, alert, more, state, due_at, next_at)
SELECT value ->> 'id', value ->> 'channel', value ->> 'event', value ->> 'subject', value -> 'alert', value ->> 'more', 'waiting', value ->> 'due_at', value ->> 'due_at'
FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM channels WHERE channels.id = value ->> 'channel')
ON CONFLICT (id) DO NOTHING
