-- A token is stable; its secrets come and go by rotation.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    team_id TEXT NOT NULL REFERENCES teams (id),
    description TEXT CHECK (length(description) <= 500),
    -- JSON array of scopes. Never empty by the API; an empty one grants nothing.
    scopes TEXT NOT NULL CHECK (json_type(scopes) = 'array'),
    -- JSON object of limits; NULL is none.
    limits TEXT CHECK (limits IS NULL OR json_type(limits) = 'object'),
    -- JSON array of networks in CIDR notation; empty is any.
    ip_allow TEXT NOT NULL DEFAULT '[]' CHECK (json_type(ip_allow) = 'array'),
    -- NULL is never.
    expires_at INTEGER,
    disabled_at INTEGER,
    -- Revocation is for ever.
    revoked_at INTEGER,
    created_by TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_used_at INTEGER,
    -- Counts changes: ETag, and the check that KV has the newest.
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- The list, newest first, of all teams and of one.
CREATE INDEX tokens_by_created ON tokens (created_at, id);
CREATE INDEX tokens_by_team ON tokens (team_id, created_at, id);
CREATE INDEX tokens_by_name ON tokens (name COLLATE NOCASE, id);
-- "Expires soon".
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL AND revoked_at IS NULL;

CREATE TABLE token_secrets (
    -- Lower-case hex SHA-256 of the whole token; the plain text is stored nowhere.
    hash TEXT PRIMARY KEY NOT NULL CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
    token_id TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    -- What may be shown: the first 12 and the last 4 characters.
    hint_start TEXT NOT NULL CHECK (length(hint_start) <= 12),
    hint_end TEXT NOT NULL CHECK (length(hint_end) <= 4),
    -- Of the earlier system's form, without a check.
    legacy INTEGER NOT NULL DEFAULT 0 CHECK (legacy IN (0, 1)),
    created_at INTEGER NOT NULL,
    -- Set by rotation: when the grace is over.
    ends_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX token_secrets_by_token ON token_secrets (token_id, created_at);
CREATE INDEX token_secrets_legacy ON token_secrets (legacy) WHERE legacy = 1;

-- Answers to `Idempotency-Key`. Only what was made is kept, never a secret.
CREATE TABLE idempotency_keys (
    actor TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    -- Hex SHA-256 of the request, so that another request under the same key is refused.
    request_digest TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (actor, endpoint, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_created ON idempotency_keys (created_at);
