-- The bell says when raw calls were deleted for want of room.
CREATE TABLE more_notifications (
    kind TEXT NOT NULL CHECK (kind IN (
        'token-expiring', 'route-failing', 'kv-drift', 'dead-letters', 'events-dropped',
        'queue-stalled', 'model-unpriced', 'token-unattended', 'usage-shed')),
    subject TEXT NOT NULL,
    team_id TEXT,
    details TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(details)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    resolved_at INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
INSERT INTO more_notifications (kind, subject, team_id, details, created_at, updated_at, resolved_at)
SELECT kind, subject, team_id, details, created_at, updated_at, resolved_at FROM notifications;
DROP TABLE notifications;
ALTER TABLE more_notifications RENAME TO notifications;
CREATE INDEX notifications_open ON notifications (updated_at) WHERE resolved_at IS NULL;
CREATE INDEX notifications_by_resolution ON notifications (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX notifications_open_by_kind ON notifications (kind) WHERE resolved_at IS NULL;
