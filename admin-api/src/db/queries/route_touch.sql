-- ?3 the version that was read: the rest of the batch depends on that version of the route.
UPDATE routes SET updated_at = ?2, version = version + 1 WHERE id = ?1 AND version = ?3
