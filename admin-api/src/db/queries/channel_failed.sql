-- A delivery has failed at ?2. The channel's others wait until ?3.
UPDATE channels SET failing_since = coalesce(failing_since, ?2), rests_until = ?3 WHERE id = ?1
