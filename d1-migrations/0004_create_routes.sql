CREATE TABLE routes (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- Whole segments, no slash at the end; never changed.
    path TEXT NOT NULL UNIQUE CHECK (path GLOB '/?*' AND path NOT GLOB '*/' AND path NOT GLOB '*//*' AND length(path) <= 200),
    -- The upstream's base URL.
    backend_url TEXT NOT NULL CHECK ((backend_url GLOB 'https://?*' OR backend_url GLOB 'http://?*') AND length(backend_url) <= 2000),
    description TEXT CHECK (length(description) <= 500),
    tags TEXT NOT NULL DEFAULT '[]' CHECK (json_type(tags) = 'array'),
    -- Empty is all.
    methods TEXT NOT NULL DEFAULT '[]' CHECK (json_type(methods) = 'array'),
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    -- To the first byte; NULL is the default.
    timeout_ms INTEGER CHECK (timeout_ms BETWEEN 1 AND 600000),
    -- Empty is no CORS.
    cors_origins TEXT NOT NULL DEFAULT '[]' CHECK (json_type(cors_origins) = 'array'),
    forward_cookies INTEGER NOT NULL DEFAULT 0 CHECK (forward_cookies IN (0, 1)),
    -- JSON object of settings that few routes have.
    settings TEXT NOT NULL DEFAULT '{}' CHECK (json_type(settings) = 'object'),
    created_by TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- Sealed with AES-256-GCM to the route and the origin; useless anywhere else.
CREATE TABLE credentials (
    route_id TEXT PRIMARY KEY NOT NULL REFERENCES routes (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    origin TEXT NOT NULL,
    sealed TEXT NOT NULL CHECK (sealed GLOB 'v1.*.*'),
    updated_by TEXT,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Prices of AI models in micro-dollars per million tokens; the newest not after a call counts.
CREATE TABLE ai_prices (
    model TEXT NOT NULL,
    effective_at INTEGER NOT NULL,
    prompt_micros INTEGER NOT NULL CHECK (prompt_micros >= 0),
    completion_micros INTEGER NOT NULL CHECK (completion_micros >= 0),
    cached_micros INTEGER CHECK (cached_micros >= 0),
    source TEXT NOT NULL,
    PRIMARY KEY (model, effective_at)
) STRICT, WITHOUT ROWID;
