-- What was made by applying a configuration: only that may be deleted by applying one that no longer names it.
-- `kind` and `entity_id` are those of the audit entry. Times in unix ms.
CREATE TABLE config_made (
    kind TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (kind, entity_id)
) STRICT, WITHOUT ROWID;
