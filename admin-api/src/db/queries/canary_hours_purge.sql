-- ?1 the first hour that is kept · ?2 limit
DELETE FROM canary_hours WHERE hour IN (SELECT hour FROM canary_hours WHERE hour < ?1 LIMIT ?2)
