-- The rows of all pages of routes_list.sql. ?1 part of name or path · ?2 tag
SELECT count(*) AS count
FROM routes
WHERE (?1 IS NULL OR instr(lower(routes.name), lower(?1)) > 0 OR instr(lower(routes.path), lower(?1)) > 0)
    AND (?2 IS NULL OR ?2 IN (SELECT value FROM json_each(routes.tags)))
