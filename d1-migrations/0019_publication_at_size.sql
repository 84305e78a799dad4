-- The outbox in the order of urgency: a revocation never waits behind the rows of a republication.
CREATE TABLE outbox_by_priority (
    id TEXT PRIMARY KEY NOT NULL,
    -- 'token': all secrets of token `entity_id`. 'routes': the route table. 'prices': the price list.
    kind TEXT NOT NULL CHECK (kind IN ('token', 'routes', 'prices')),
    entity_id TEXT NOT NULL DEFAULT '',
    -- 0: may take something away. 1: every token of a team, an import, a repair. 2: only gives. 3: everything once more.
    priority INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 3),
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    last_error TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO outbox_by_priority (id, kind, entity_id, created_at, attempts, next_attempt_at, last_error)
SELECT id, kind, entity_id, created_at, attempts, next_attempt_at, last_error FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_by_priority RENAME TO outbox;
CREATE INDEX outbox_due ON outbox (priority, next_attempt_at, created_at);
CREATE INDEX outbox_by_entity ON outbox (kind, entity_id);

-- What was published and is to be compared with KV once KV must show it: a write that had timed out can arrive late.
CREATE TABLE outbox_watch (
    due_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    PRIMARY KEY (due_at, kind, entity_id)
) STRICT, WITHOUT ROWID;

-- Served the look at what changed within some minutes, which outbox_watch replaces.
DROP INDEX tokens_by_update;

-- Finds credentials under another key without reading all of them each minute.
CREATE INDEX credentials_by_seal ON credentials (sealed_under, route_id);
