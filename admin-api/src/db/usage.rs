//! Stores usage events and reads reports. Reports read rollups only.

pub mod report;

use super::settings;
use super::{Db, Statement, StoreError, params, sql};
use contract::usage::{CallView, RecentCall};
use domain::id::{RouteId, TeamId, TokenId};
use domain::time::UnixMs;
use domain::usage::outcome::Outcome;
use serde::Deserialize;

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
