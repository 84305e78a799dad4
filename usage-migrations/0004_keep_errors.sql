-- What vendors said about calls that failed, on routes that keep it: one row for each batch of the queue that has some. Kept
-- ERRORS_RETENTION_DAYS.
CREATE TABLE errors (
    -- That of the batch in `inbox`.
    id INTEGER PRIMARY KEY NOT NULL,
    -- Times of its first and last call with an error, unix ms.
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    -- `domain::usage::errors::Errors` as JSON, deflated, in base64.
    packed TEXT NOT NULL
) STRICT;

CREATE INDEX errors_by_time ON errors (until);
