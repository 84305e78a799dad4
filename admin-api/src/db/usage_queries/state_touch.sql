-- Undoes the batch if a fold or another merge came first. ?1 version that was read
UPDATE state SET version = iif(version = ?1, version + 1, NULL)
