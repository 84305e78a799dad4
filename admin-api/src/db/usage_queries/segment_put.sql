-- ?1 id, NULL for a new one · ?2, ?3 times of its first and last call · ?4 number of calls · ?5 bytes of its text · ?6 head
-- · ?7 object · ?8 body
INSERT INTO segments (id, since, until, calls, bytes, head, object, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (id) DO UPDATE SET since = excluded.since, until = excluded.until, calls = excluded.calls,
    bytes = excluded.bytes, head = excluded.head, object = excluded.object, body = excluded.body
