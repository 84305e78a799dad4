-- Notes the entry chained last, ?1, if the statement before it in the batch has chained all ?3 entries. ?2 now
INSERT INTO settings (key, value, updated_at)
SELECT 'audit-head', ?1, ?2 WHERE changes() = ?3
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
