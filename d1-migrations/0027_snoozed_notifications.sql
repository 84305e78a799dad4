-- Notifications that a person has hidden. `opened_at` is the notification's created_at: opened again, it shows again.
-- Times in unix ms.
CREATE TABLE notification_snoozes (
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (user_id, kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX notification_snoozes_by_end ON notification_snoozes (until);
