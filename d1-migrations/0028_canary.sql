-- Times that the canary has measured, a row an hour, kept 30 days.
CREATE TABLE canary_hours (
    -- Its beginning, unix ms.
    hour INTEGER PRIMARY KEY NOT NULL CHECK (hour % 3600000 = 0),
    -- `domain::canary::Hours` as JSON.
    figures TEXT NOT NULL CHECK (json_valid(figures))
) STRICT;

-- The bell has another kind. Their list is the code's from now on (`contract::upkeep::NotificationKind`), so that a
-- kind needs no migration.
CREATE TABLE notifications_of_any_kind (
    kind TEXT NOT NULL CHECK (kind <> ''),
    subject TEXT NOT NULL,
    team_id TEXT,
    details TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(details)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    resolved_at INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
INSERT INTO notifications_of_any_kind (kind, subject, team_id, details, created_at, updated_at, resolved_at)
SELECT kind, subject, team_id, details, created_at, updated_at, resolved_at FROM notifications;
DROP TABLE notifications;
ALTER TABLE notifications_of_any_kind RENAME TO notifications;
CREATE INDEX notifications_open ON notifications (updated_at) WHERE resolved_at IS NULL;
CREATE INDEX notifications_by_resolution ON notifications (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX notifications_open_by_kind ON notifications (kind) WHERE resolved_at IS NULL;
