-- Notes the newest entry that retention may cut, with its hash: the front of the chain, as far as everything in it is older
-- than ?1, at most ?2 entries, and never the one chained last. ?3 now
INSERT INTO settings (key, value, updated_at)
SELECT 'audit-cut', json_object('seq', seq, 'id', id, 'hash', hash), ?3
FROM audit
WHERE (SELECT at FROM audit ORDER BY seq LIMIT 1) < ?1 AND seq = (
    SELECT max(seq) FROM (
        SELECT seq, max(at) OVER (ORDER BY seq) AS newest_at
        FROM (SELECT seq, at FROM audit
            WHERE seq < (SELECT value ->> 'seq' FROM settings WHERE key = 'audit-head')
            ORDER BY seq LIMIT ?2))
    WHERE newest_at < ?1)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
