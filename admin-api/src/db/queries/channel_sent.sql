-- A delivery, or a test, has succeeded.
UPDATE channels SET failing_since = NULL, rests_until = NULL WHERE id = ?1 AND failing_since IS NOT NULL
