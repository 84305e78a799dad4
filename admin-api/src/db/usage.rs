//! Stores usage events and reads reports. Reports read rollups only.

use super::settings;
use super::{Db, Param, Statement, StoreError, params, rows_of, sql, to_json};
use contract::usage::{CallView, RecentCall, UsageSort};
use domain::id::{RouteId, TeamId, TokenId};
use domain::time::UnixMs;
use domain::usage::outcome::Outcome;
use domain::usage::rollup::{Histogram, Rollup};
use domain::usage::span::Span;
use serde::Deserialize;
use serde_json::Value;
use worker::D1Result;

/// Writes a chunk of events, in which each id occurs once, and the counts of its messages, as one
/// transaction: first the rollups of new events, last the events.
pub async fn take_in(db: &Db, events: &str) -> Result<(), StoreError> {
    db.batch(statements(db, events)?).await?;
    Ok(())
}

/// Makes the statements that store a chunk, for one transaction.
pub fn statements(db: &Db, events: &str) -> Result<Vec<Statement>, StoreError> {
    let statements = [
        sql!("usage_rollups_add"),
        sql!("usage_pairs_add"),
        sql!("tokens_last_used"),
        sql!("secrets_last_used"),
        sql!("usage_events_add"),
    ];
    statements.iter().map(|sql| db.statement(sql, params![events])).collect()
}

/// Stores the age of a batch's oldest message, for the health report.
pub async fn note_lag(db: &Db, lag_ms: i64, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![settings::put(db, settings::QUEUE_LAG, &lag_ms.to_string(), now)?]).await?;
    Ok(())
}

pub async fn add_losses(db: &Db, losses: &str, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("usage_losses_add"), params![losses, now])?]).await?;
    Ok(())
}

/// The calls that a report covers; `None` means all.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// JSON array.
    pub teams: Option<&'a str>,
    pub token: Option<&'a str>,
    pub route: Option<&'a str>,
}

/// The dimension of rollups that a report reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dimension {
    All,
    Team,
    Token,
    Route,
    Pair,
}

impl Dimension {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Team => "team",
            Self::Token => "token",
            Self::Route => "route",
            Self::Pair => "pair",
        }
    }
}

impl Whose<'_> {
    /// Returns the coarsest dimension that distinguishes these calls from others.
    fn series(&self) -> Dimension {
        match (self.teams, self.token, self.route) {
            (None, None, None) => Dimension::All,
            (Some(_), None, None) => Dimension::Team,
            (_, Some(_), None) => Dimension::Token,
            (None, None, Some(_)) => Dimension::Route,
            (_, Some(_), Some(_)) | (Some(_), None, Some(_)) => Dimension::Pair,
        }
    }

    fn by_token(&self) -> Dimension {
        if self.route.is_none() { Dimension::Token } else { Dimension::Pair }
    }

    fn by_route(&self) -> Dimension {
        if self.teams.is_none() && self.token.is_none() { Dimension::Route } else { Dimension::Pair }
    }
}

/// One line of a report.
#[derive(Debug)]
pub struct Line {
    /// The id of a token or a route; empty in a series.
    pub key: String,
    /// Start of the interval, unix ms; 0 outside a series.
    pub at: UnixMs,
    pub label: Option<String>,
    pub team: Option<TeamId>,
    pub last_at: Option<UnixMs>,
    pub rollup: Rollup,
    /// The value that a list is sorted by.
    pub sort_value: Option<Value>,
}

/// A report's three groupings.
#[derive(Debug)]
pub struct Report {
    pub series: Vec<Line>,
    /// Tokens, busiest first.
    pub tokens: Vec<Line>,
    pub routes: Vec<Line>,
}

/// A number from D1, which returns JavaScript numbers: exact up to 2^53, rounded above.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "f64")]
struct Sum(u64);

impl From<f64> for Sum {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it saturates, and no sum is below 0"
    )]
    fn from(n: f64) -> Self {
        Self(n as u64)
    }
}

#[derive(Debug, Deserialize)]
struct SumRow {
    #[serde(default, alias = "part", alias = "id")]
    key: String,
    #[serde(default)]
    at: f64,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    team_id: Option<TeamId>,
    #[serde(default)]
    last_at: Option<UnixMs>,
    #[serde(default)]
    sort_value: Option<Value>,
    /// Histograms as JSON objects, separated by `;`.
    histograms: Option<String>,
    calls: Sum,
    ok: Sum,
    client_errors: Sum,
    upstream_errors: Sum,
    timeouts: Sum,
    gateway_errors: Sum,
    denied: Sum,
    limited: Sum,
    latency_sum_ms: Sum,
    gateway_sum_ms: Sum,
    bytes_in: Sum,
    bytes_out: Sum,
    prompt_tokens: Sum,
    completion_tokens: Sum,
    cached_tokens: Sum,
    cost_micros: Sum,
}

impl From<SumRow> for Line {
    fn from(row: SumRow) -> Self {
        Self {
            key: row.key,
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
            at: row.at as i64,
            label: row.label,
            team: row.team_id,
            last_at: row.last_at,
            sort_value: row.sort_value,
            rollup: Rollup {
                calls: row.calls.0,
                ok: row.ok.0,
                client_errors: row.client_errors.0,
                upstream_errors: row.upstream_errors.0,
                timeouts: row.timeouts.0,
                gateway_errors: row.gateway_errors.0,
                denied: row.denied.0,
                limited: row.limited.0,
                latency_sum_ms: row.latency_sum_ms.0,
                gateway_sum_ms: row.gateway_sum_ms.0,
                bytes_in: row.bytes_in.0,
                bytes_out: row.bytes_out.0,
                prompt_tokens: row.prompt_tokens.0,
                completion_tokens: row.completion_tokens.0,
                cached_tokens: row.cached_tokens.0,
                cost_micros: row.cost_micros.0,
                latency: histogram(row.histograms.as_deref()),
            },
        }
    }
}

/// Adds up histograms that a query has joined. An unreadable one counts for nothing.
fn histogram(joined: Option<&str>) -> Histogram {
    let mut sum = Histogram::default();
    for text in joined.unwrap_or_default().split(';') {
        let one: Histogram = serde_json::from_str(text).unwrap_or_default();
        for (bin, count) in one.iter() {
            sum.add(bin, count);
        }
    }
    sum
}

fn lines_of(result: Option<&D1Result>) -> Result<Vec<Line>, StoreError> {
    let rows: Vec<SumRow> = result.map(rows_of).transpose()?.unwrap_or_default();
    Ok(rows.into_iter().map(Line::from).collect())
}

/// Reads a whole report in one transaction, so that its parts add up.
pub async fn report(
    db: &Db,
    whose: Whose<'_>,
    series: &[Span],
    sums: &[Span],
    split: u32,
) -> Result<Report, StoreError> {
    let Whose { teams, token, route } = whose;
    let (series, sums) = (to_json(series)?, to_json(sums)?);
    let results = db
        .batch(vec![
            db.statement(
                sql!("usage_series"),
                params![whose.series().as_str(), &series, teams, token, route],
            )?,
            db.statement(
                sql!("usage_split"),
                params![whose.by_token().as_str(), &sums, teams, token, route, split, "token"],
            )?,
            db.statement(
                sql!("usage_split"),
                params![whose.by_route().as_str(), &sums, teams, token, route, split, "route"],
            )?,
        ])
        .await?;
    let mut results = results.iter();
    Ok(Report {
        series: lines_of(results.next())?,
        tokens: lines_of(results.next())?,
        routes: lines_of(results.next())?,
    })
}

/// The tokens or routes that a list shows, and the position to start from.
#[derive(Debug)]
pub struct ListFilter<'a> {
    /// JSON array; `None` means all.
    pub teams: Option<&'a str>,
    pub search: Option<&'a str>,
    pub sort: UsageSort,
    /// Sort value and id of the last row seen.
    pub after: Option<(Param<'a>, &'a str)>,
    pub limit: u32,
}

fn sort_name(sort: UsageSort) -> &'static str {
    match sort {
        UsageSort::Calls => "calls",
        UsageSort::Errors => "errors",
        UsageSort::LastUsed => "last_used",
        UsageSort::Name => "name",
    }
}

pub async fn list_tokens(db: &Db, spans: &[Span], filter: &ListFilter<'_>) -> Result<Vec<Line>, StoreError> {
    list(db, sql!("usage_tokens_list"), Dimension::Token, spans, filter).await
}

pub async fn list_routes(db: &Db, spans: &[Span], filter: &ListFilter<'_>) -> Result<Vec<Line>, StoreError> {
    let dimension = if filter.teams.is_none() { Dimension::Route } else { Dimension::Pair };
    list(db, sql!("usage_routes_list"), dimension, spans, filter).await
}

async fn list(
    db: &Db,
    sql: &str,
    dimension: Dimension,
    spans: &[Span],
    filter: &ListFilter<'_>,
) -> Result<Vec<Line>, StoreError> {
    let (value, id) = filter.after.map_or((Param::Null, None), |(value, id)| (value, Some(id)));
    let statement = db.statement(
        sql,
        params![
            dimension.as_str(),
            &to_json(spans)?,
            filter.teams,
            filter.search,
            sort_name(filter.sort),
            value,
            id,
            filter.limit,
        ],
    )?;
    let rows: Vec<SumRow> = db.rows(statement).await?;
    Ok(rows.into_iter().map(Line::from).collect())
}

/// Reads a token's sums since it was made.
pub async fn own_total(db: &Db, token: &TokenId) -> Result<Rollup, StoreError> {
    let results = db.batch(vec![db.statement(sql!("usage_own_total"), params![token.as_str()])?]).await?;
    Ok(lines_of(results.first())?.into_iter().next().map(|line| line.rollup).unwrap_or_default())
}

/// Lists a token's last calls, newest first.
pub async fn own_recent(db: &Db, token: &TokenId, limit: u32) -> Result<Vec<RecentCall>, StoreError> {
    db.rows(db.statement(sql!("usage_own_recent"), params![token.as_str(), limit])?).await
}

/// The calls to list, and the position to start from; `None` means all.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    pub from: UnixMs,
    /// JSON array.
    pub teams: Option<String>,
    pub team: Option<TeamId>,
    pub token: Option<TokenId>,
    pub route: Option<RouteId>,
    pub outcome: Option<Outcome>,
    pub status_class: Option<u32>,
    pub method: Option<String>,
    pub path: Option<String>,
    /// Time and id of the last call seen; on the first page, the end of the period and ''.
    pub before: (UnixMs, String),
}

/// Calls that were found, and the position at which the search stopped if calls are left.
#[derive(Debug)]
pub struct Found {
    pub calls: Vec<CallView>,
    /// Time and id of the last call that was read.
    pub searched_to: Option<(UnixMs, String)>,
}

/// Lists calls, newest first, by the index with the fewest calls to read. Reads at most `scan`
/// calls: D1 runs one statement at a time, and everybody else waits.
pub async fn events(db: &Db, filter: &EventFilter, limit: u32, scan: u32) -> Result<Found, StoreError> {
    let (sql, end) = if filter.token.is_some() {
        (sql!("events_by_token"), sql!("events_by_token_end"))
    } else if filter.route.is_some() {
        (sql!("events_by_route"), sql!("events_by_route_end"))
    } else if filter.team.is_some() {
        (sql!("events_by_team"), sql!("events_by_team_end"))
    } else {
        (sql!("events_by_time"), sql!("events_by_time_end"))
    };
    let statement = db.statement(
        sql,
        params![
            filter.from,
            filter.teams.as_ref(),
            filter.token.as_ref().map(TokenId::as_str),
            filter.route.as_ref().map(RouteId::as_str),
            filter.outcome.map(Outcome::as_str),
            filter.status_class,
            filter.method.as_ref(),
            filter.path.as_ref(),
            filter.before.0,
            &filter.before.1,
            limit,
            filter.team.as_ref().map(TeamId::as_str),
            scan,
        ],
    )?;
    let calls: Vec<CallView> = db.rows(statement).await?;
    let is_full = u32::try_from(calls.len()).is_ok_and(|n| n >= limit);
    let searched_to = if is_full {
        calls.last().map(|last| (last.at, last.id.clone()))
    } else {
        #[derive(Deserialize)]
        struct End {
            at: UnixMs,
            id: String,
        }
        let key = match (&filter.token, &filter.route, &filter.team) {
            (Some(token), _, _) => Some(token.as_str()),
            (_, Some(route), _) => Some(route.as_str()),
            (_, _, team) => team.as_ref().map(TeamId::as_str),
        };
        let params = params![filter.from, key, filter.before.0, &filter.before.1, scan];
        let end: Option<End> = db.first(db.statement(end, params)?).await?;
        end.map(|end| (end.at, end.id))
    };
    Ok(Found { calls, searched_to })
}

/// Deletes up to `limit` raw events before `before`. Returns their number.
pub async fn purge_events(db: &Db, before: UnixMs, now: UnixMs, limit: u32) -> Result<usize, StoreError> {
    let results = db
        .batch(vec![
            db.statement(sql!("events_purge_note"), params![before, now])?,
            db.statement(sql!("events_purge"), params![before, limit])?,
        ])
        .await?;
    results.last().map_or(Ok(0), super::changes_of)
}

/// Returns the time since which no version, with any retention, has deleted a raw event.
pub async fn whole_since(db: &Db) -> Result<UnixMs, StoreError> {
    let purged = settings::get(db, settings::EVENTS_PURGED).await?;
    Ok(purged.and_then(|setting| setting.value.parse().ok()).unwrap_or(0))
}

/// Opens notifications about models that were called without a price: JSON of models and calls.
pub async fn note_unpriced(db: &Db, models: &str, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("notify_unpriced"), params![models, now])?]).await?;
    Ok(())
}

/// Deletes up to `limit` rollups of a granularity before `before`. Returns their number.
pub async fn purge_rollups(
    db: &Db,
    granularity: &str,
    before: UnixMs,
    limit: u32,
) -> Result<usize, StoreError> {
    purge(db, db.statement(sql!("rollups_purge"), params![granularity, before, limit])?).await
}

async fn purge(db: &Db, statement: Statement) -> Result<usize, StoreError> {
    let results = db.batch(vec![statement]).await?;
    results.first().map_or(Ok(0), super::changes_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_report_reads_the_coarsest_rollups_that_distinguish_its_calls() {
        let whose = |teams, token, route| Whose { teams, token, route };
        for (whose, wanted) in [
            (whose(None, None, None), [Dimension::All, Dimension::Token, Dimension::Route]),
            (whose(Some("[]"), None, None), [Dimension::Team, Dimension::Token, Dimension::Pair]),
            (whose(Some("[]"), Some("t"), None), [Dimension::Token, Dimension::Token, Dimension::Pair]),
            (whose(None, None, Some("r")), [Dimension::Route, Dimension::Pair, Dimension::Route]),
            (whose(Some("[]"), None, Some("r")), [Dimension::Pair, Dimension::Pair, Dimension::Pair]),
            (whose(None, Some("t"), Some("r")), [Dimension::Pair, Dimension::Pair, Dimension::Pair]),
        ] {
            assert_eq!([whose.series(), whose.by_token(), whose.by_route()], wanted, "{whose:?}");
        }
    }

    #[test]
    fn a_sum_that_javascript_rounds_is_read() {
        let read = |json: &str| serde_json::from_str::<Sum>(json).unwrap().0;
        assert_eq!(read("7"), 7);
        assert_eq!(read("9007199254740992.0"), 1 << 53);
        assert_eq!(read("36893488147419103232.0"), u64::MAX, "2^65");
    }

    #[test]
    fn histograms_add_up() {
        let sum = histogram(Some(r#"{"3":1,"4":2};{"4":5};{}"#));
        assert_eq!(sum.iter().collect::<Vec<_>>(), [(3, 1), (4, 7)]);
        assert_eq!(histogram(None), Histogram::default());
    }
}
