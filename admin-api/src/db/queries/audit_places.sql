-- The entry chained last, and the last one that retention has cut.
SELECT key, value, updated_at FROM settings WHERE key IN ('audit-head', 'audit-cut')
