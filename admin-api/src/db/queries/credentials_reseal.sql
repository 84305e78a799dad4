-- ?1: JSON of what was sealed again, under the key ?2. A credential that somebody has just set stays unchanged.
UPDATE credentials SET sealed = new.value ->> 'sealed', sealed_under = ?2
FROM json_each(?1) AS new
WHERE route_id = new.value ->> 'id' AND credentials.sealed = new.value ->> 'was' AND new.value ->> 'sealed' IS NOT NULL
