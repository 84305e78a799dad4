-- ?1: JSON of what was tried, ?2 the first of the keys. Marks credentials that no key opens. A credential that somebody has
-- just set stays unchanged.
UPDATE credentials SET sealed_under = '!' || ?2
FROM json_each(?1) AS lost
WHERE route_id = lost.value ->> 'id' AND credentials.sealed = lost.value ->> 'was' AND lost.value ->> 'sealed' IS NULL
