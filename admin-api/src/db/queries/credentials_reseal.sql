-- ?1: JSON of what was sealed anew, under the key ?2. One that somebody has set meanwhile stays.
UPDATE credentials SET sealed = new.value ->> 'sealed', sealed_under = ?2
FROM json_each(?1) AS new
WHERE route_id = new.value ->> 'route_id' AND credentials.sealed = new.value ->> 'was'
