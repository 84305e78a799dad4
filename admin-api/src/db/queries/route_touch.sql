-- ?3 is the version that was read: what follows in the batch depends on the route as it was then.
UPDATE routes SET updated_at = ?2, version = version + 1 WHERE id = ?1 AND version = ?3
