//! Events in, reports out. Reports read rollups only.

use super::{Db, Statement, StoreError, params, rows_of, sql};
use domain::api::usage::{Interval, RecentCall};
use domain::id::TokenId;
use domain::rollup::Rollup;
use domain::time::UnixMs;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Writes a chunk of events, each id once in it, and the counts of its messages, as one
/// transaction: rollups of what is new first, the events last.
pub async fn take_in(db: &Db, events: &str) -> Result<(), StoreError> {
    let statements = [
        sql!("usage_hourly_add"),
        sql!("usage_daily_add"),
        sql!("usage_latency_add"),
        sql!("tokens_last_used"),
        sql!("usage_events_add"),
    ];
    let statements = statements.iter().map(|sql| db.statement(sql, params![events]));
    db.batch(statements.collect::<Result<_, _>>()?).await?;
    Ok(())
}

pub async fn add_losses(db: &Db, losses: &str, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("usage_losses_add"), params![losses, now])?]).await?;
    Ok(())
}

/// What a report covers; `None` is all.
#[derive(Debug)]
pub struct Range<'a> {
    pub from: UnixMs,
    /// Exclusive.
    pub to: UnixMs,
    pub interval: Interval,
    /// JSON array.
    pub teams: Option<&'a str>,
    pub token: Option<&'a str>,
    pub route: Option<&'a str>,
}

/// One line of a report.
#[derive(Debug)]
pub struct Line {
    pub key: String,
    pub label: Option<String>,
    pub rollup: Rollup,
}

/// A report's three groupings.
#[derive(Debug)]
pub struct Report {
    /// Keyed by the bucket's start, as text.
    pub buckets: Vec<Line>,
    pub tokens: Vec<Line>,
    pub routes: Vec<Line>,
}

/// A key is a number where it is a time, and text elsewhere.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Key {
    Time(f64),
    Text(String),
}

impl Key {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            // Whole and below 2^53: no fraction is written.
            Self::Time(at) => format!("{at}"),
        }
    }
}

#[derive(Debug, Deserialize)]
struct SumRow {
    key: Key,
    label: Option<String>,
    calls: u64,
    ok: u64,
    client_errors: u64,
    upstream_errors: u64,
    timeouts: u64,
    gateway_errors: u64,
    denied: u64,
    limited: u64,
    latency_sum_ms: u64,
    gateway_sum_ms: u64,
    bytes_in: u64,
    bytes_out: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    cached_tokens: u64,
    cost_micros: u64,
}

#[derive(Debug, Deserialize)]
struct BinRow {
    key: Key,
    bin: u32,
    count: u64,
}

impl From<SumRow> for Line {
    fn from(row: SumRow) -> Self {
        Self {
            key: row.key.into_text(),
            label: row.label,
            rollup: Rollup {
                calls: row.calls,
                ok: row.ok,
                client_errors: row.client_errors,
                upstream_errors: row.upstream_errors,
                timeouts: row.timeouts,
                gateway_errors: row.gateway_errors,
                denied: row.denied,
                limited: row.limited,
                latency_sum_ms: row.latency_sum_ms,
                gateway_sum_ms: row.gateway_sum_ms,
                bytes_in: row.bytes_in,
                bytes_out: row.bytes_out,
                prompt_tokens: row.prompt_tokens,
                completion_tokens: row.completion_tokens,
                cached_tokens: row.cached_tokens,
                cost_micros: row.cost_micros,
                latency: domain::rollup::Histogram::default(),
            },
        }
    }
}

/// Puts sums and histograms together by key.
fn lines(sums: Vec<SumRow>, bins: Vec<BinRow>) -> Vec<Line> {
    let mut by_key: BTreeMap<String, Line> =
        sums.into_iter().map(Line::from).map(|line| (line.key.clone(), line)).collect();
    for row in bins {
        if let Some(line) = by_key.get_mut(&row.key.into_text()) {
            line.rollup.latency.add(row.bin, row.count);
        }
    }
    by_key.into_values().collect()
}

/// All of a report in one transaction, so that its parts add up.
pub async fn report(db: &Db, range: &Range<'_>) -> Result<Report, StoreError> {
    let (granularity, sums) = match range.interval {
        Interval::Hour => (
            "hour",
            [sql!("usage_hourly_by_bucket"), sql!("usage_hourly_by_token"), sql!("usage_hourly_by_route")],
        ),
        Interval::Day => (
            "day",
            [sql!("usage_daily_by_bucket"), sql!("usage_daily_by_token"), sql!("usage_daily_by_route")],
        ),
    };
    let bins =
        [sql!("usage_latency_by_bucket"), sql!("usage_latency_by_token"), sql!("usage_latency_by_route")];
    let (from, to) = (range.from, range.to);
    let mut statements: Vec<Statement> = Vec::with_capacity(6);
    for sql in sums {
        statements.push(db.statement(sql, params![from, to, range.teams, range.token, range.route])?);
    }
    for sql in bins {
        statements
            .push(db.statement(sql, params![from, to, range.teams, range.token, range.route, granularity])?);
    }
    let results = db.batch(statements).await?;
    let (sums, bins) = results.split_at_checked(3).unwrap_or_default();
    let mut lines_of = sums.iter().zip(bins).map(|(sums, bins)| Ok(lines(rows_of(sums)?, rows_of(bins)?)));
    let mut next = || lines_of.next().unwrap_or_else(|| Ok::<_, StoreError>(vec![]));
    Ok(Report { buckets: next()?, tokens: next()?, routes: next()? })
}

/// A token's sums since it was made.
pub async fn own_total(db: &Db, token: &TokenId) -> Result<Rollup, StoreError> {
    let results = db
        .batch(vec![
            db.statement(sql!("usage_own_total"), params![token.as_str()])?,
            db.statement(sql!("usage_own_latency"), params![token.as_str()])?,
        ])
        .await?;
    let mut results = results.iter();
    let sums = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let bins = results.next().map(rows_of).transpose()?.unwrap_or_default();
    Ok(lines(sums, bins).into_iter().next().map(|line| line.rollup).unwrap_or_default())
}

/// The last calls of a token, newest first.
pub async fn own_recent(db: &Db, token: &TokenId, limit: u32) -> Result<Vec<RecentCall>, StoreError> {
    db.rows(db.statement(sql!("usage_own_recent"), params![token.as_str(), limit])?).await
}

/// Deletes up to `limit` raw events before `before`; how many there were.
pub async fn purge_events(db: &Db, before: UnixMs, limit: u32) -> Result<usize, StoreError> {
    purge(db, db.statement(sql!("events_purge"), params![before, limit])?).await
}

/// Deletes up to `limit` hourly rollups, and as many bins, before `before`.
pub async fn purge_hourly(db: &Db, before: UnixMs, limit: u32) -> Result<usize, StoreError> {
    let rows = purge(db, db.statement(sql!("hourly_purge"), params![before, limit])?).await?;
    let bins = purge(db, db.statement(sql!("latency_purge"), params![before, limit])?).await?;
    Ok(rows.max(bins))
}

pub async fn purge_idempotency(db: &Db, before: UnixMs) -> Result<usize, StoreError> {
    purge(db, db.statement(sql!("idempotency_purge"), params![before])?).await
}

async fn purge(db: &Db, statement: Statement) -> Result<usize, StoreError> {
    let results = db.batch(vec![statement]).await?;
    results.first().map_or(Ok(0), super::changes_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_as_key_is_written_whole() {
        assert_eq!(Key::Time(1_763_856_000_000.0).into_text(), "1763856000000");
    }
}
