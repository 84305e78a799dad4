//! Retention, room, and how usage is doing.

use super::folding::{State, VERSION};
use crate::db::{StoreError, UsageDb, params, rows_of, size_of, to_json, usage_sql};
use crate::intake::KEYS_KEPT_MS;
use domain::time::{DAY_MS, HOUR_MS, UnixMs};
use domain::usage::fold::Dimension;
use domain::usage::key::SLOT_MS;
use domain::usage::label::LABELS_KEPT_DAYS;
use domain::usage::span::{Granularity, HOURLY_KEPT_MS};
use serde::Deserialize;

/// Segments deleted by one statement.
const SEGMENTS_AT_ONCE: u32 = 20;
/// Losses, and rows of errors, deleted by one statement.
const LOSSES_AT_ONCE: u32 = 500;
/// Time whose rollups are deleted at once.
const ROLLUPS_AT_ONCE_MS: i64 = 6 * HOUR_MS;
/// A database of D1 holds 10 GB. From four fifths on, raw calls are deleted before their time.
pub const FULL_BYTES: u64 = 10_000_000_000;

/// How usage is stored.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct UsageState {
    /// When the consumer last stored a batch, unix ms.
    pub stored_at: UnixMs,
    /// The age of the oldest message in it.
    pub lag_ms: i64,
    /// When the oldest batch that waits to be folded was stored, unix ms.
    pub oldest_at: Option<UnixMs>,
    /// Size of the database in bytes.
    #[serde(default)]
    pub bytes: u64,
}

/// Messages and events lost since a time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Lost {
    pub dropped: u64,
    pub undecodable: u64,
}

/// Reads how usage is stored.
pub async fn state(db: &UsageDb) -> Result<UsageState, StoreError> {
    let results = db.batch(vec![db.statement(usage_sql!("usage_state"), &[])?]).await?;
    let Some(result) = results.first() else { return Ok(UsageState::default()) };
    let state: Option<UsageState> = rows_of(result)?.pop();
    Ok(UsageState { bytes: size_of(result)?, ..state.unwrap_or_default() })
}

/// Counts what was lost since a time.
pub async fn lost(db: &UsageDb, since: UnixMs) -> Result<Lost, StoreError> {
    let row = db.first(db.statement(usage_sql!("losses_since"), params![since])?).await?;
    Ok(row.unwrap_or_default())
}

/// Deletes what is past its retention: raw calls, keys, rollups and losses. Each run deletes a bounded part.
pub async fn purge(
    db: &UsageDb,
    now: UnixMs,
    calls_kept_ms: i64,
    errors_kept_ms: i64,
) -> Result<(), StoreError> {
    remove_segments(db, now - calls_kept_ms, false).await?;
    let dimensions = Dimension::CALLS.into_iter().chain(Dimension::MODELS).map(Dimension::as_str);
    let dimensions = to_json(&dimensions.collect::<Vec<_>>())?;
    let mut statements = vec![
        db.statement(usage_sql!("taken_purge"), params![(now - KEYS_KEPT_MS) / SLOT_MS])?,
        db.statement(usage_sql!("losses_purge"), params![now - HOURLY_KEPT_MS, LOSSES_AT_ONCE])?,
        db.statement(usage_sql!("errors_purge"), params![now - errors_kept_ms, LOSSES_AT_ONCE])?,
        db.statement(usage_sql!("labels_purge"), params![now - LABELS_KEPT_DAYS * DAY_MS, DAY_MS])?,
    ];
    for granularity in Granularity::ALL {
        if let Some(kept_ms) = granularity.kept_ms() {
            statements.push(db.statement(
                usage_sql!("rollups_purge"),
                params![&dimensions, granularity.as_str(), now - kept_ms, ROLLUPS_AT_ONCE_MS],
            )?);
        }
    }
    db.batch(statements).await?;
    Ok(())
}

/// Deletes the oldest raw calls that are in the database if it is nearly full, up to the last hour. Returns their number.
pub async fn shed(db: &UsageDb, bytes: u64, full_bytes: Option<u64>, now: UnixMs) -> Result<u64, StoreError> {
    if bytes < full_bytes.unwrap_or(FULL_BYTES) / 5 * 4 {
        return Ok(0);
    }
    remove_segments(db, now - HOUR_MS, true).await
}

/// Deletes the oldest segments without a call from `before` on; if they make room, their calls are counted as shed.
/// Returns the number of their calls, 0 if a fold came first.
async fn remove_segments(db: &UsageDb, before: UnixMs, makes_room: bool) -> Result<u64, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: i64,
        calls: u64,
    }
    let results = db
        .batch(vec![
            db.statement(usage_sql!("fold_state"), &[])?,
            db.statement(usage_sql!("segments_oldest"), params![before, SEGMENTS_AT_ONCE, makes_room])?,
        ])
        .await?;
    let mut results = results.iter();
    let State { version, .. } = State::in_result(results.next())?;
    let rows: Vec<Row> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    if rows.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let calls = rows.iter().map(|row| row.calls).sum();
    let mut statements = vec![
        db.statement(usage_sql!("state_touch"), params![version])?,
        db.statement(usage_sql!("segments_remove"), params![&to_json(&ids)?])?,
    ];
    if makes_room {
        statements.push(db.statement(usage_sql!("state_shed"), params![calls])?);
    }
    match db.batch(statements).await {
        Err(error) if error.is_of(VERSION) => Ok(0),
        result => result.map(|_| calls),
    }
}
