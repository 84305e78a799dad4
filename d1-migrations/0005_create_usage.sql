-- Raw calls, kept EVENTS_RETENTION_DAYS. They serve "recent calls"; no report reads them.
--
-- Exactly once: a queue delivers at least once, so the consumer writes, in one D1 batch (one
-- transaction), first the rollups of those events of the message whose id is not here yet, then the
-- events themselves, ignoring ids that are. A second delivery finds every id and adds nothing.
-- Token and route are no foreign keys: a call is recorded whatever has become of them since.
CREATE TABLE usage_events (
    id TEXT PRIMARY KEY NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
    at INTEGER NOT NULL,
    token_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    -- '' where no route matched, here and in the rollups, so that it can be part of a key.
    route_id TEXT NOT NULL,
    route_path TEXT,
    path TEXT NOT NULL,
    method TEXT NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    latency_ms INTEGER NOT NULL,
    gateway_ms INTEGER NOT NULL,
    bytes_in INTEGER,
    bytes_out INTEGER,
    client_ip TEXT,
    user_agent TEXT,
    country TEXT,
    request_id TEXT NOT NULL,
    model TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cached_tokens INTEGER,
    cost_micros INTEGER
) STRICT, WITHOUT ROWID;

-- `id` at the end makes each a total order to page through.
CREATE INDEX usage_events_by_time ON usage_events (at, id);
CREATE INDEX usage_events_by_token ON usage_events (token_id, at, id);
CREATE INDEX usage_events_by_route ON usage_events (route_id, at, id);
CREATE INDEX usage_events_by_team ON usage_events (team_id, at, id);

-- Sums per hour, kept 400 days, and per day, kept for ever. The columns are those of
-- `domain::rollup::Rollup`; `team_id` is the token's team at the time of the call.
CREATE TABLE usage_hourly (
    bucket_start INTEGER NOT NULL CHECK (bucket_start % 3600000 = 0),
    token_id TEXT NOT NULL,
    route_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
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
    PRIMARY KEY (bucket_start, token_id, route_id, team_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_hourly_by_token ON usage_hourly (token_id, bucket_start);
CREATE INDEX usage_hourly_by_route ON usage_hourly (route_id, bucket_start);
CREATE INDEX usage_hourly_by_team ON usage_hourly (team_id, bucket_start);

CREATE TABLE usage_daily (
    bucket_start INTEGER NOT NULL CHECK (bucket_start % 86400000 = 0),
    token_id TEXT NOT NULL,
    route_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
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
    PRIMARY KEY (bucket_start, token_id, route_id, team_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_daily_by_token ON usage_daily (token_id, bucket_start);
CREATE INDEX usage_daily_by_route ON usage_daily (route_id, bucket_start);
CREATE INDEX usage_daily_by_team ON usage_daily (team_id, bucket_start);

-- The latency histogram of each rollup row, a row per bin that is not empty. The bins are
-- `domain::rollup::bin_of`. Rows rather than one JSON value, because rows can be added to by an
-- upsert, and an upsert is what makes concurrent consumers safe.
CREATE TABLE usage_latency (
    granularity TEXT NOT NULL CHECK (granularity IN ('hour', 'day')),
    bucket_start INTEGER NOT NULL,
    token_id TEXT NOT NULL,
    route_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    bin INTEGER NOT NULL CHECK (bin >= 0),
    count INTEGER NOT NULL,
    PRIMARY KEY (granularity, bucket_start, token_id, route_id, team_id, bin)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_latency_by_token ON usage_latency (token_id, granularity, bucket_start);
CREATE INDEX usage_latency_by_route ON usage_latency (route_id, granularity, bucket_start);
CREATE INDEX usage_latency_by_team ON usage_latency (team_id, granularity, bucket_start);

-- What was counted and not recorded, per queue message: events that the gateway had to give up,
-- and calls with a token that nobody knows. The message's id is the key, so that a second delivery
-- changes nothing.
CREATE TABLE usage_losses (
    message_id TEXT PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0,
    unknown_tokens INTEGER NOT NULL DEFAULT 0,
    -- 1 for a message that could not be read.
    undecodable INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_losses_by_time ON usage_losses (at);
