-- Webhook messages that were taken in, so that a repeat does nothing.
CREATE TABLE webhook_messages (
    id TEXT PRIMARY KEY NOT NULL,
    received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_messages_by_received ON webhook_messages (received_at);

-- What the UI's bell shows. One row per kind and subject, renewed rather than repeated.
CREATE TABLE notifications (
    kind TEXT NOT NULL CHECK (kind IN ('token-expiring', 'route-failing', 'kv-drift', 'dead-letters', 'events-dropped')),
    subject TEXT NOT NULL,
    team_id TEXT,
    details TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(details)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    resolved_at INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX notifications_open ON notifications (updated_at) WHERE resolved_at IS NULL;
