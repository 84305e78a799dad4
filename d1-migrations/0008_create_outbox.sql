-- What KV still has to be told. A row is written in the same batch as the change it stands for, and
-- goes when KV has taken the change; it holds no value, because the value is computed from D1 at the
-- time of writing, so that an old one can never overwrite a new one.
CREATE TABLE outbox (
    id TEXT PRIMARY KEY NOT NULL,
    -- 'token': all secrets of token `entity_id`. 'routes': the route table.
    kind TEXT NOT NULL CHECK (kind IN ('token', 'routes')),
    entity_id TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    last_error TEXT
) STRICT;

CREATE INDEX outbox_by_next_attempt ON outbox (next_attempt_at, id);
CREATE INDEX outbox_by_entity ON outbox (kind, entity_id);

-- Single values, JSON.
CREATE TABLE settings (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL CHECK (json_valid(value)),
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Grows with every change to a route; the published table carries it.
INSERT INTO settings (key, value, updated_at) VALUES ('routes-version', '0', unixepoch() * 1000);
