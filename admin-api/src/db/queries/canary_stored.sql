-- Notes a call of the canary that is in usage. ?1 key · ?2 the note as JSON · ?3 when its run began: a later delivery of
-- the same run, or of an older one, changes nothing.
INSERT INTO settings (key, value, updated_at) VALUES (?1, ?2, ?3)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
WHERE settings.updated_at < excluded.updated_at
