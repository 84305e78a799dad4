-- ?1 digests as JSON
SELECT digest FROM imported_parts WHERE digest IN (SELECT value FROM json_each(?1))
