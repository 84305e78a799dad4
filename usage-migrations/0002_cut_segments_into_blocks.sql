-- A search for the calls of one token opened whole segments, and a report read its sums as JSON. What is not folded yet is
-- dropped: no version that wrote it was ever released.

-- The blocks of large segments: some hundreds of calls each, those of a team and token together, so that a search opens
-- what it is after. A segment without blocks has its calls in `segments`.
CREATE TABLE blocks (
    segment INTEGER NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    -- Times of its first and last call.
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    -- In the form of `segments.head`.
    head TEXT NOT NULL,
    -- The place of its text in the segment's object, if that has one.
    start INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (segment, n)
) STRICT, WITHOUT ROWID;

-- Their texts, if the segment has no object. A table of its own: with them a search through `blocks` takes ten times as
-- long.
CREATE TABLE block_texts (
    segment INTEGER NOT NULL REFERENCES segments (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    -- In the form of `inbox.calls`.
    body TEXT NOT NULL,
    PRIMARY KEY (segment, n)
) STRICT, WITHOUT ROWID;

-- In the form of `segments.head`; '' if that is not known.
ALTER TABLE inbox ADD COLUMN head TEXT NOT NULL DEFAULT '';

-- From now on `inbox.sums` and `open.sums` are `domain::usage::sheet::Sheet` as JSON.
DELETE FROM inbox;
DELETE FROM open;

-- A slot of `taken` is ten seconds: the keys of a minute could become too long for a value.
DELETE FROM taken;

-- No report reads models.
DELETE FROM rollups WHERE dimension IN ('model', 'team-model');
