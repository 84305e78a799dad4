-- The last segment, if it has room. ?1 calls from which it has none
SELECT id, object, body FROM segments WHERE id = (SELECT max(id) FROM segments) AND calls < ?1
