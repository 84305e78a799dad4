-- ?1: JSON of route ids whose credential no key opens, ?2 the first of those that were tried.
UPDATE credentials SET sealed_under = '!' || ?2 WHERE route_id IN (SELECT value FROM json_each(?1))
