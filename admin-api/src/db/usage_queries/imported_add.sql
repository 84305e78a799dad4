-- Undoes the batch if the part was imported before. ?1 digest · ?2 now
INSERT INTO imported_parts (digest, at) VALUES (?1, ?2)
