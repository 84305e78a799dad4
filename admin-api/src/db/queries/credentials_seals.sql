-- Credentials, and receivers of channels, that wait to be sealed under the key ?1, and those that no key opens.
SELECT
    (SELECT count(*) FROM credentials WHERE sealed_under < '!' || ?1)
        + (SELECT count(*) FROM credentials WHERE sealed_under > '!' || ?1 AND sealed_under < ?1)
        + (SELECT count(*) FROM credentials WHERE sealed_under > ?1)
        + (SELECT count(*) FROM channels WHERE sealed_under NOT IN (?1, '!' || ?1)) AS older,
    (SELECT count(*) FROM credentials WHERE sealed_under = '!' || ?1)
        + (SELECT count(*) FROM channels WHERE sealed_under = '!' || ?1) AS lost
