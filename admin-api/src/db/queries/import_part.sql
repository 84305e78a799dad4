INSERT INTO imported_parts (digest, at) VALUES (?1, ?2)
