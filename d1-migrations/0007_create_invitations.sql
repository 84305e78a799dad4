-- An invited address becomes memberships when its owner signs up.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL COLLATE NOCASE,
    -- Clerk's id, where Clerk has sent it.
    clerk_id TEXT,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'accepted', 'revoked', 'expired')),
    invited_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    accepted_at INTEGER
) STRICT;

CREATE INDEX invitations_by_email ON invitations (email, state);
CREATE INDEX invitations_by_created ON invitations (created_at, id);

CREATE TABLE invitation_teams (
    invitation_id TEXT NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('VIEWER', 'DEVELOPER', 'MANAGER', 'ADMIN')),
    PRIMARY KEY (invitation_id, team_id)
) STRICT, WITHOUT ROWID;
