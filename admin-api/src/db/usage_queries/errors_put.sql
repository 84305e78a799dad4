-- ?1 id of the batch · ?2, ?3 times of the first and last call · ?4 errors, packed
INSERT INTO errors (id, since, until, packed) VALUES (?1, ?2, ?3, ?4)
