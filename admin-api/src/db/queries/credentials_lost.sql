-- ?1: JSON of credentials that no key opens, ?2 the first of the keys that were tried. A credential that somebody has
-- just set stays unchanged.
UPDATE credentials SET sealed_under = '!' || ?2
FROM json_each(?1) AS lost
WHERE route_id = lost.value ->> 'route_id' AND credentials.sealed = lost.value ->> 'was'
