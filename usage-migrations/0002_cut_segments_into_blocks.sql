-- A search for the calls of one token opened whole segments, and a report read its sums as JSON.

-- Calls of segments with many of them, some hundreds in each row, so that a search opens what it is after. A segment
-- without blocks has its calls in `segments`.
CREATE TABLE blocks (
    segment INTEGER NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    -- Times of its first and last call.
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    -- In the form of `segments.head`.
    head TEXT NOT NULL,
    -- The place of its text in the segment's object, if that has one; then `body` is ''.
    start INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    -- In the form of `inbox.calls`.
    body TEXT NOT NULL,
    PRIMARY KEY (segment, n)
) STRICT, WITHOUT ROWID;

-- In the form of `segments.head`; '' if that is not known.
ALTER TABLE inbox ADD COLUMN head TEXT NOT NULL DEFAULT '';

-- From now on `inbox.sums` and `open.sums` are `domain::usage::sheet::Sheet` as JSON.
DELETE FROM inbox;
DELETE FROM open;

-- No report reads models.
DELETE FROM rollups WHERE dimension IN ('model', 'team-model');
