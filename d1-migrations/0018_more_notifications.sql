-- The bell has three more kinds: a consumer that is silent, a model without a price, a token whose maker is gone.
CREATE TABLE more_notifications (
    kind TEXT NOT NULL CHECK (kind IN (
        'token-expiring', 'route-failing', 'kv-drift', 'dead-letters', 'events-dropped',
        'queue-stalled', 'model-unpriced', 'token-unattended')),
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
