-- Every route, called or not. ?1 part of the name or path, NULL means any
SELECT o.id, o.path AS name
FROM routes AS o
WHERE ?1 IS NULL OR instr(lower(o.name), lower(?1)) > 0 OR instr(lower(o.path), lower(?1)) > 0
