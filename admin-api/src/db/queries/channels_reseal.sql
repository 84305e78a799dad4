-- ?1: JSON of what was sealed again, under the key ?2. A receiver that somebody has just set stays unchanged.
UPDATE channels SET sealed = new.value ->> 'sealed', sealed_under = ?2
FROM json_each(?1) AS new
WHERE channels.id = new.value ->> 'id' AND channels.sealed = new.value ->> 'was' AND new.value ->> 'sealed' IS NOT NULL
