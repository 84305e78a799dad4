-- The audit log becomes a chain: each entry has the hash of itself and of the hash before it (docs/audit-log.md).
--
-- `seq` is the order in which D1 has committed the entries: it has one writer, and a row's number is the highest plus
-- one. So no entry appears behind one that is chained, however late it is written, and there are no gaps. A time and a
-- random id give no such order. The table is made again because one without rowid has no such number.
-- Its indexes stay until it goes, because the entries are read by `audit_by_time`.
ALTER TABLE audit RENAME TO audit_before;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY NOT NULL,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    -- A user id, or 'system'.
    actor TEXT NOT NULL,
    -- Kebab-case, such as 'create-token'.
    action TEXT NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('done', 'refused')),
    entity TEXT NOT NULL,
    entity_id TEXT,
    -- The team concerned, for those who may see only their own.
    team_id TEXT,
    -- JSON objects without secrets.
    before TEXT CHECK (before IS NULL OR json_valid(before)),
    after TEXT CHECK (after IS NULL OR json_valid(after)),
    client_ip TEXT,
    request_id TEXT NOT NULL,
    -- Of the entry before and of this one, 64 hex digits each; NULL until the cron has chained the entry.
    previous_hash TEXT CHECK (previous_hash IS NULL OR length(previous_hash) = 64),
    hash TEXT CHECK (hash IS NULL OR length(hash) = 64)
) STRICT;

INSERT INTO audit (seq, id, at, actor, action, result, entity, entity_id, team_id, before, after, client_ip, request_id)
SELECT row_number() OVER (ORDER BY at, id), id, at, actor, action, result, entity, entity_id, team_id, before, after, client_ip, request_id
FROM audit_before
ORDER BY at, id;

DROP TABLE audit_before;

CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_actor ON audit (actor, at, id);
CREATE INDEX audit_by_entity ON audit (entity_id, at, id) WHERE entity_id IS NOT NULL;
CREATE INDEX audit_by_team ON audit (team_id, at, id) WHERE team_id IS NOT NULL;

-- What must hold whatever the code does. A chained entry never changes, and an entry leaves only at the front, up to the
-- one whose hash is noted.
CREATE TRIGGER audit_is_chained BEFORE UPDATE ON audit WHEN OLD.hash IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'constraint failed: audit-is-chained'); END;

CREATE TRIGGER audit_is_cut_at_the_front BEFORE DELETE ON audit WHEN OLD.seq > coalesce((SELECT value ->> 'seq' FROM settings WHERE key = 'audit-cut'), 0)
BEGIN SELECT RAISE(ABORT, 'constraint failed: audit-is-cut-at-the-front'); END;
