-- Names of tokens and teams, and paths of routes. ?1 token ids, ?2 route ids and ?3 team ids as JSON
SELECT t.id, t.name FROM tokens AS t WHERE t.id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT o.id, o.path FROM routes AS o WHERE o.id IN (SELECT value FROM json_each(?2))
UNION ALL
SELECT e.id, e.name FROM teams AS e WHERE e.id IN (SELECT value FROM json_each(?3))
