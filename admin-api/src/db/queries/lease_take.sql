-- Takes the lease ?1 for the holder ?2 (JSON) at ?3, if its last holder took it before ?4 or has given it back.
INSERT INTO settings (key, value, updated_at) VALUES (?1, ?2, ?3)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
WHERE settings.updated_at < ?4
