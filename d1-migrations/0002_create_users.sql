-- People, as Clerk knows them. Roles live here and not in the session token.
CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL CHECK (length(id) BETWEEN 1 AND 128),
    -- NULL until Clerk has told us.
    email TEXT,
    email_verified INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1)),
    name TEXT,
    avatar_url TEXT,
    last_sign_in_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- Kept after deletion, because the audit log refers to the person.
    deleted_at INTEGER
) STRICT;

CREATE INDEX users_by_email ON users (email COLLATE NOCASE);

CREATE TABLE memberships (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    team_id TEXT NOT NULL REFERENCES teams (id),
    role TEXT NOT NULL CHECK (role IN ('VIEWER', 'DEVELOPER', 'MANAGER', 'ADMIN')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, team_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX memberships_by_team ON memberships (team_id, role);
