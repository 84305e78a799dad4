-- Changed in the time from ?1 to ?2: long enough ago for KV to show it. ?3 how many
SELECT id FROM tokens WHERE updated_at >= ?1 AND updated_at < ?2 ORDER BY updated_at, id LIMIT ?3
