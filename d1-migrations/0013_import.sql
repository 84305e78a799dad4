-- Parts of a dump whose calls were taken in: written in the same transaction as the calls, so that a
-- part counts once however often it comes and however long its raw calls are gone.
CREATE TABLE imported_parts (
    digest TEXT PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
