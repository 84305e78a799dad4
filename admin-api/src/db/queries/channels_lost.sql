-- ?1: JSON of what was tried, ?2 the first of the keys. Marks receivers of channels that no key opens.
UPDATE channels SET sealed_under = '!' || ?2
FROM json_each(?1) AS lost
WHERE channels.id = lost.value ->> 'id' AND channels.sealed = lost.value ->> 'was' AND lost.value ->> 'sealed' IS NULL
