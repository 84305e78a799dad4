-- USAGE_DB: what calls were made. A database of its own, so that no amount of usage can stop a revocation.
-- docs/data-model.md describes how a call moves: inbox, then `open` sums and a segment, then rollups.

-- One row: the guard of every fold.
CREATE TABLE state (
    one INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    -- Grows with each fold and each merge of segments: of two at once, the second is undone.
    version INTEGER NOT NULL,
    -- The greatest id of `inbox` that was folded.
    folded_to INTEGER NOT NULL,
    folded_at INTEGER NOT NULL,
    -- Raw calls deleted before their time because the database was nearly full.
    shed INTEGER NOT NULL,
    -- When the latest folded batch was stored, and how late: the age of its oldest message.
    stored_at INTEGER NOT NULL,
    lag_ms INTEGER NOT NULL
) STRICT;

INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0);

-- Batches of the queue that are not folded yet. An id is the last one plus one, so of two consumers that stored
-- at once, the second is undone and looks again which of its messages are new.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY NOT NULL,
    -- When it was stored, and the age of its oldest message then; -1 if it did not come from the queue.
    at INTEGER NOT NULL,
    lag_ms INTEGER NOT NULL,
    -- Times of its first and last raw call; NULL without raw calls.
    since INTEGER,
    until INTEGER,
    -- `domain::usage::tally::Tallies` as JSON.
    sums TEXT NOT NULL,
    -- Raw calls, packed: `domain::usage::segment`, deflated, in base64. '' for none.
    calls TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The keys of the messages that were stored, 22 characters each, by the minute in the key. Kept 31 days.
CREATE TABLE taken (
    slot INTEGER PRIMARY KEY NOT NULL,
    keys TEXT NOT NULL
) STRICT;

-- Sums of buckets that are not over, in parts below the largest value that D1 takes. When a bucket is over, it becomes
-- rows of `rollups` and is added to the bucket that contains it.
CREATE TABLE open (
    granularity TEXT NOT NULL CHECK (granularity IN ('5m', 'hour', 'day', 'week')),
    bucket INTEGER NOT NULL,
    part INTEGER NOT NULL,
    -- `domain::usage::tally::Tally` as JSON.
    sums TEXT NOT NULL,
    PRIMARY KEY (granularity, bucket, part)
) STRICT, WITHOUT ROWID;

-- Sums of buckets that are over. An index would be billed as another row for each of these.
--
-- | dimension   | key                           |
-- |-------------|-------------------------------|
-- | all         | ''                            |
-- | team        | team                          |
-- | token       | team, token                   |
-- | route       | route, '' if none matched     |
-- | team-route  | team, route                   |
-- | token-route | team, token, route            |
-- | route-token | route, team, token; not at 5m |
-- | model       | AI model                      |
-- | team-model  | team, AI model                |
CREATE TABLE rollups (
    dimension TEXT NOT NULL,
    -- Kept 2 days, 400 days, permanently, permanently. Weeks are counted from the epoch.
    granularity TEXT NOT NULL CHECK (granularity IN ('5m', 'hour', 'day', 'week')),
    bucket INTEGER NOT NULL,
    -- Its parts are separated by a space.
    key TEXT NOT NULL,
    calls INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    client_errors INTEGER NOT NULL,
    upstream_errors INTEGER NOT NULL,
    timeouts INTEGER NOT NULL,
    gateway_errors INTEGER NOT NULL,
    denied INTEGER NOT NULL,
    limited INTEGER NOT NULL,
    latency_sum_ms INTEGER NOT NULL,
    gateway_sum_ms INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    -- JSON object of latency bin (`domain::usage::rollup::bin_of`) to count.
    histogram TEXT NOT NULL,
    PRIMARY KEY (dimension, granularity, bucket, key)
) STRICT, WITHOUT ROWID;

-- When a team last called a route, for lists; noted when five minutes are over.
CREATE TABLE last_calls (
    route_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (route_id, team_id)
) STRICT, WITHOUT ROWID;

-- Raw calls, up to 20,000 in a row, kept EVENTS_RETENTION_DAYS.
CREATE TABLE segments (
    id INTEGER PRIMARY KEY NOT NULL,
    -- Times of its first and last call.
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    -- Length of its text, wherever that is.
    bytes INTEGER NOT NULL,
    -- Which tokens, routes, teams, outcomes, status classes and methods are inside (`domain::usage::segment::Head`),
    -- so that a search opens only what can hold a match. It comes before `body`, which is then not read.
    head TEXT NOT NULL,
    -- Its name in the bucket CALLS, if that is bound; then `body` is ''.
    object TEXT,
    -- In the form of `inbox.calls`.
    body TEXT NOT NULL
) STRICT;

-- Calls that were counted and not recorded, by message, so that a second delivery adds nothing.
CREATE TABLE losses (
    message TEXT PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    -- Calls that the gateway had to give up.
    dropped INTEGER NOT NULL,
    -- Calls with a token that nobody knows.
    unknown_tokens INTEGER NOT NULL,
    -- 1 for a message that could not be read.
    undecodable INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX losses_by_time ON losses (at);

-- Parts of imported logs, by their digest: permanently, because a log may be imported again at any time.
CREATE TABLE imported_parts (
    digest TEXT PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
