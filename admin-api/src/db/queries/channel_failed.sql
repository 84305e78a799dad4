-- A delivery has failed at ?2.
UPDATE channels SET failing_since = ?2 WHERE id = ?1 AND failing_since IS NULL
