-- Names of tokens and paths of routes. ?1 token ids and ?2 route ids as JSON
SELECT t.id, t.name FROM tokens AS t WHERE t.id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT o.id, o.path FROM routes AS o WHERE o.id IN (SELECT value FROM json_each(?2))
