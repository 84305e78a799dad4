-- Alerts that leave the building. Times in unix ms.

-- A receiver, of a team or of the system.
CREATE TABLE channels (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- NULL is the system.
    team_id TEXT REFERENCES teams (id),
    kind TEXT NOT NULL,
    -- The part of the address that is no secret.
    address TEXT NOT NULL,
    -- Address and secret, sealed with AES-256-GCM to the channel; `sealed_under` as in `credentials`.
    sealed TEXT NOT NULL CHECK (sealed GLOB 'v1.*.*'),
    sealed_under TEXT NOT NULL,
    -- Names of events, and percentages.
    events TEXT NOT NULL CHECK (json_type(events) = 'array'),
    thresholds TEXT NOT NULL CHECK (json_type(thresholds) = 'array'),
    language TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    -- Since when no delivery has succeeded; NULL if the last one did.
    failing_since INTEGER,
    created_by TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

-- What has happened, noted in the transaction that notices it, by the triggers below; the cron makes deliveries of it.
-- Once per kind, subject and period. Nothing is noted while there are no channels.
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- A notification's kind, or 'admin-added'.
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- When the notification was opened, with its step, or that it is over.
    period TEXT NOT NULL,
    is_over INTEGER NOT NULL CHECK (is_over IN (0, 1)),
    team_id TEXT,
    details TEXT NOT NULL CHECK (json_valid(details)),
    -- The step before, 0 if there was none.
    before INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- When deliveries were made of it.
    planned_at INTEGER,
    UNIQUE (kind, subject, period)
) STRICT;
CREATE INDEX alerts_waiting ON alerts (id) WHERE planned_at IS NULL;
CREATE INDEX alerts_by_time ON alerts (at);

-- Deliveries of alerts to channels.
CREATE TABLE deliveries (
    -- The `webhook-id`.
    id TEXT PRIMARY KEY NOT NULL,
    channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    -- '' stands for several subjects.
    subject TEXT NOT NULL,
    -- JSON of `domain::alert::event::Alert`, without secrets.
    alert TEXT NOT NULL CHECK (json_valid(alert)),
    -- Further alerts that it stands for.
    more INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- The next try; while one is under way, the end of its lease.
    next_at INTEGER NOT NULL,
    tried_at INTEGER,
    status INTEGER,
    response TEXT CHECK (length(response) <= 300)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_by_channel ON deliveries (channel_id, due_at, id);
CREATE INDEX deliveries_by_time ON deliveries (due_at);

-- Where a token was used from, for 30 days: 'country:TW' or 'address:203.0.113.7', at most some dozens of each token.
CREATE TABLE token_places (
    token_id TEXT NOT NULL,
    place TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    -- Exact to a day.
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (token_id, place)
) STRICT, WITHOUT ROWID;

-- A notification that is opened, reaches its next step or is over is an alert. A migration that makes the table again
-- must make these again, too.
CREATE TRIGGER notification_opened AFTER INSERT ON notifications
WHEN NEW.resolved_at IS NULL AND EXISTS (SELECT 1 FROM channels WHERE enabled = 1)
BEGIN
    INSERT INTO alerts (kind, subject, period, is_over, team_id, details, before, at)
    SELECT NEW.kind, NEW.subject, NEW.created_at || ' ' || coalesce(NEW.details ->> 'step', ''), 0, NEW.team_id, NEW.details, 0, NEW.updated_at
    WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE kind = NEW.kind AND subject = NEW.subject
        AND period = NEW.created_at || ' ' || coalesce(NEW.details ->> 'step', '')); END;

CREATE TRIGGER notification_renewed AFTER UPDATE ON notifications
WHEN NEW.resolved_at IS NULL
    AND (NEW.created_at <> OLD.created_at OR NEW.details ->> 'step' IS NOT OLD.details ->> 'step')
    AND EXISTS (SELECT 1 FROM channels WHERE enabled = 1)
BEGIN
    INSERT INTO alerts (kind, subject, period, is_over, team_id, details, before, at)
    SELECT NEW.kind, NEW.subject, NEW.created_at || ' ' || coalesce(NEW.details ->> 'step', ''), 0, NEW.team_id, NEW.details,
        iif(OLD.resolved_at IS NULL, CAST(coalesce(OLD.details ->> 'step', 0) AS INTEGER), 0), NEW.updated_at
    WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE kind = NEW.kind AND subject = NEW.subject
        AND period = NEW.created_at || ' ' || coalesce(NEW.details ->> 'step', '')); END;

CREATE TRIGGER notification_over AFTER UPDATE ON notifications
WHEN NEW.resolved_at IS NOT NULL AND OLD.resolved_at IS NULL AND NEW.kind = 'route-failing'
    AND OLD.details ->> 'step' IS NOT NULL AND EXISTS (SELECT 1 FROM channels WHERE enabled = 1)
BEGIN
    INSERT INTO alerts (kind, subject, period, is_over, team_id, details, before, at)
    SELECT NEW.kind, NEW.subject, NEW.created_at || ' over', 1, NEW.team_id, OLD.details, 0, NEW.resolved_at
    WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE kind = NEW.kind AND subject = NEW.subject
        AND period = NEW.created_at || ' over'); END;

-- A new ADMIN, by whichever way.
CREATE TRIGGER admin_joined AFTER INSERT ON memberships
WHEN NEW.role = 'ADMIN' AND EXISTS (SELECT 1 FROM channels WHERE enabled = 1)
BEGIN
    INSERT INTO alerts (kind, subject, period, is_over, team_id, details, before, at)
    SELECT 'admin-added', NEW.user_id, NEW.team_id || ' ' || unixepoch('subsec'), 0, NEW.team_id,
        json_object('name', coalesce((SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = NEW.user_id), NEW.user_id), 'team', NEW.team_id),
        0, CAST(unixepoch('subsec') * 1000 AS INTEGER); END;

CREATE TRIGGER admin_promoted AFTER UPDATE OF role ON memberships
WHEN NEW.role = 'ADMIN' AND OLD.role <> 'ADMIN' AND EXISTS (SELECT 1 FROM channels WHERE enabled = 1)
BEGIN
    INSERT INTO alerts (kind, subject, period, is_over, team_id, details, before, at)
    SELECT 'admin-added', NEW.user_id, NEW.team_id || ' ' || unixepoch('subsec'), 0, NEW.team_id,
        json_object('name', coalesce((SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = NEW.user_id), NEW.user_id), 'team', NEW.team_id),
        0, CAST(unixepoch('subsec') * 1000 AS INTEGER); END;
