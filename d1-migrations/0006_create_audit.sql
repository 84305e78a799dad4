-- Every change and every refused attempt to change. Written in the same batch as the change.
CREATE TABLE audit (
    id TEXT PRIMARY KEY NOT NULL,
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
    request_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_actor ON audit (actor, at, id);
CREATE INDEX audit_by_entity ON audit (entity, entity_id, at);
CREATE INDEX audit_by_team ON audit (team_id, at, id);
