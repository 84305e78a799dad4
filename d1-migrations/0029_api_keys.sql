-- Keys with which automation calls the admin API for the person who made them. Times in unix ms.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    made_by TEXT NOT NULL REFERENCES users (id),
    -- JSON array of {team, role}, as they were given. Those in force are decided at each use, by the maker's memberships.
    roles TEXT NOT NULL CHECK (json_type(roles) = 'array'),
    read_only INTEGER NOT NULL DEFAULT 0 CHECK (read_only IN (0, 1)),
    -- JSON array of powers that it was given by name.
    may TEXT NOT NULL DEFAULT '[]' CHECK (json_type(may) = 'array'),
    -- JSON array of networks in CIDR notation; empty is any.
    ip_allow TEXT NOT NULL DEFAULT '[]' CHECK (json_type(ip_allow) = 'array'),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- Revocation is for ever.
    revoked_at INTEGER,
    -- Written at most once an hour.
    last_used_at INTEGER,
    -- Counts changes: ETag.
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE INDEX api_keys_by_created ON api_keys (created_at, id);
CREATE INDEX api_keys_by_maker ON api_keys (made_by, created_at, id);

CREATE TABLE api_key_secrets (
    -- Lower-case hex SHA-256 of the whole key; the plain text is stored nowhere.
    hash TEXT PRIMARY KEY NOT NULL CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
    key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    -- What may be shown: the first 12 and the last 4 characters.
    hint_start TEXT NOT NULL CHECK (length(hint_start) <= 12),
    hint_end TEXT NOT NULL CHECK (length(hint_end) <= 4),
    created_at INTEGER NOT NULL,
    -- Set by rotation: when the grace is over.
    ends_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_key_secrets_by_key ON api_key_secrets (key_id, created_at);
