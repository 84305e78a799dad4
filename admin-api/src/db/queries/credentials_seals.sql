-- Credentials that wait to be sealed under the key ?1, and those that no key opens.
SELECT
    count(*) FILTER (WHERE sealed_under NOT IN (?1, '!' || ?1)) AS older,
    count(*) FILTER (WHERE sealed_under = '!' || ?1) AS lost
FROM credentials
