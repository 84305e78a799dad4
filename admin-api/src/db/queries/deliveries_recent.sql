-- Deliveries that are, or were, due after ?1, by which alerts are folded.
SELECT id, channel_id, event, subject, state, due_at, attempts FROM deliveries WHERE due_at > ?1
