-- Teams own tokens. Times everywhere are unix milliseconds, UTC.
CREATE TABLE teams (
    -- A slug, chosen at creation and never changed: it stands in tokens and bookmarks.
    id TEXT PRIMARY KEY NOT NULL
        CHECK (length(id) BETWEEN 1 AND 63 AND id NOT GLOB '*[^a-z0-9-]*' AND id NOT GLOB '-*' AND id NOT GLOB '*-'),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    description TEXT CHECK (length(description) <= 500),
    color TEXT,
    icon TEXT,
    -- JSON array of scopes that bound the scopes of the team's tokens; NULL is no bound.
    scope_cap TEXT CHECK (scope_cap IS NULL OR json_type(scope_cap) = 'array'),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- Its members run the platform. It cannot be deleted, so it is here from the start.
INSERT INTO teams (id, name, description, created_at, updated_at)
VALUES ('core-team', 'Core team', 'Runs the platform', unixepoch() * 1000, unixepoch() * 1000);
