-- A deleted team is kept: revoked tokens and the audit log refer to it, and its id is never given to
-- another.
ALTER TABLE teams ADD COLUMN deleted_at INTEGER;

-- Who disabled a token: a DEVELOPER may take back only what he did himself.
ALTER TABLE tokens ADD COLUMN disabled_by TEXT;

-- What must hold whatever the code does. No semicolon inside a trigger ends a line, so that a file can
-- be cut into statements at the ends of lines.

-- The last ADMIN of a team cannot go, unless he is gone himself. Of two who remove each other at once
-- the second finds himself the last.
CREATE TRIGGER memberships_keep_an_admin_on_delete BEFORE DELETE ON memberships WHEN OLD.role = 'ADMIN' AND NOT EXISTS (SELECT 1 FROM memberships AS m JOIN users AS u ON u.id = m.user_id WHERE m.team_id = OLD.team_id AND m.role = 'ADMIN' AND m.user_id <> OLD.user_id AND u.deleted_at IS NULL) AND EXISTS (SELECT 1 FROM users AS u WHERE u.id = OLD.user_id AND u.deleted_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'constraint failed: last-admin'); END;

CREATE TRIGGER memberships_keep_an_admin_on_update BEFORE UPDATE OF role ON memberships WHEN OLD.role = 'ADMIN' AND NEW.role <> 'ADMIN' AND NOT EXISTS (SELECT 1 FROM memberships AS m JOIN users AS u ON u.id = m.user_id WHERE m.team_id = OLD.team_id AND m.role = 'ADMIN' AND m.user_id <> OLD.user_id AND u.deleted_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'constraint failed: last-admin'); END;

CREATE TRIGGER teams_are_kept BEFORE DELETE ON teams
BEGIN SELECT RAISE(ABORT, 'constraint failed: teams-are-kept'); END;

CREATE TRIGGER teams_delete_empty_only BEFORE UPDATE OF deleted_at ON teams WHEN NEW.deleted_at IS NOT NULL AND (NEW.id = 'core-team' OR EXISTS (SELECT 1 FROM memberships AS m JOIN users AS u ON u.id = m.user_id WHERE m.team_id = NEW.id AND u.deleted_at IS NULL) OR EXISTS (SELECT 1 FROM tokens AS t WHERE t.team_id = NEW.id AND t.revoked_at IS NULL))
BEGIN SELECT RAISE(ABORT, 'constraint failed: team-not-empty'); END;

CREATE TRIGGER memberships_of_living_teams BEFORE INSERT ON memberships WHEN EXISTS (SELECT 1 FROM teams WHERE id = NEW.team_id AND deleted_at IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'constraint failed: team-deleted'); END;

CREATE TRIGGER tokens_of_living_teams BEFORE INSERT ON tokens WHEN EXISTS (SELECT 1 FROM teams WHERE id = NEW.team_id AND deleted_at IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'constraint failed: team-deleted'); END;

CREATE INDEX invitation_teams_by_team ON invitation_teams (team_id);
CREATE INDEX tokens_by_update ON tokens (updated_at, id);
CREATE INDEX users_by_created ON users (created_at, id);
CREATE INDEX teams_by_name ON teams (name COLLATE NOCASE, id);
