//! Folds the inbox: once a minute from the cron, and from the consumer if it grows or the cron is late.

use super::bodies::{self, Body, packed, unpacked};
use super::intake::NOT_OF_THE_QUEUE;
use crate::db::{Statement, StoreError, UsageDb, all_rows_of, params, to_json, usage_sql};
use crate::fold::{Arrived, LabelRow, OpenChange, OpenPart, Plan, label_rows, plan};
use domain::time::{MINUTE_MS, UnixMs};
use domain::usage::label::LabelTallies;
use domain::usage::segment::{FULL_CALLS, LARGE_CALLS, RawCall, blocks, head, sort, times};
use domain::usage::sheet::Sheet;
use domain::usage::tally::Tallies;
use edge::log::{Source, log};
use serde::{Deserialize, Serialize};
use worker::D1Result;

/// Batches that one fold takes, bytes of their packed calls, and folds in a row. A packed byte takes some 25 in memory,
/// of which an isolate has 128 MB.
const BATCHES: u32 = 100;
const MAX_BYTES: u32 = 1_000_000;
const ROUNDS: usize = 20;
/// The longest text of a segment; with its head, a row of D1 has at most 2 MB.
const MAX_BODY: usize = 1_600_000;
/// Last calls in one parameter.
const LAST_CALLS: usize = 5_000;
/// Bytes in the inbox, and time since the last fold, from which the consumer folds.
const MUCH: u64 = 1_000_000;
const LATE_MS: i64 = 90_000;
/// The age after which the inbox shows that nobody folds.
pub const OLD_INBOX_MS: i64 = 5 * MINUTE_MS;
/// Its constraint fails if another fold came first.
pub const VERSION: &str = "state.version";
/// Segments that a merge reads at most, and bytes of text from which a segment is large and stays as it is.
const MERGED: u32 = 20;
const LARGE_BYTES: u64 = 700_000;
/// About the most bytes of texts in one parameter; D1 takes 2 MB.
const TEXTS_BYTES: usize = 900_000;

/// The one row of `state`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct State {
    /// Raised by each fold and merge.
    pub version: i64,
    folded_to: i64,
    folded_at: UnixMs,
    stored_at: UnixMs,
    lag_ms: i64,
}

#[derive(Debug, Deserialize)]
struct Batch {
    id: i64,
    at: UnixMs,
    lag_ms: i64,
    sums: String,
    calls: String,
    /// '' if no call has a label.
    labels: String,
    /// '' if no call is an AI's.
    models: String,
}

/// Folds if the inbox is large or was not folded for long.
pub async fn run_if_due(
    db: &UsageDb,
    waiting: u64,
    folded_at: UnixMs,
    now: UnixMs,
) -> Result<(), StoreError> {
    if waiting > MUCH || folded_at < now - LATE_MS { run(db, now).await } else { Ok(()) }
}

/// Folds all that is in the inbox. If another fold is at work, it is left to that one.
pub async fn run(db: &UsageDb, now: UnixMs) -> Result<(), StoreError> {
    for _ in 0..ROUNDS {
        match fold_once(db, now).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) if error.is_of(VERSION) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl State {
    /// Reads the result of `fold_state`.
    pub fn in_result(result: Option<&D1Result>) -> Result<Self, StoreError> {
        let rows = result.map(all_rows_of).transpose()?.unwrap_or_default();
        rows.into_iter().next().ok_or_else(|| StoreError::Unreadable("state".to_owned()))
    }
}

/// Reads the rows of a batch's next result.
fn next<'a, T: serde::de::DeserializeOwned>(
    results: &mut impl Iterator<Item = &'a D1Result>,
) -> Result<Vec<T>, StoreError> {
    // Strictly: what is left out here would be lost.
    results.next().map(all_rows_of).transpose().map(Option::unwrap_or_default)
}

/// Folds the oldest batches. Returns whether more may be left.
async fn fold_once(db: &UsageDb, now: UnixMs) -> Result<bool, StoreError> {
    let results = db
        .batch(vec![
            db.statement(usage_sql!("fold_state"), &[])?,
            db.statement(usage_sql!("fold_inbox"), params![BATCHES, MAX_BYTES])?,
            db.statement(usage_sql!("fold_open"), &[])?,
            db.statement(usage_sql!("fold_open_models"), &[])?,
            db.statement(usage_sql!("fold_segment"), params![to_u64(FULL_CALLS)])?,
        ])
        .await?;
    let mut results = results.iter();
    let state = State::in_result(results.next())?;
    let batches: Vec<Batch> = next(&mut results)?;
    let open: Vec<OpenPart> = next(&mut results)?;
    let open_models: Vec<OpenPart> = next(&mut results)?;
    let segment: Option<Body> = next(&mut results)?.pop();
    if batches.is_empty() && state.folded_at + LATE_MS / 3 > now {
        return Ok(false);
    }
    let (mut arrived, mut labels) = (Arrived::default(), LabelTallies::default());
    for batch in &batches {
        arrived.sums.extend(tallies_of(&batch.sums)?);
        if !batch.models.is_empty() {
            arrived.models.extend(tallies_of(&batch.models)?);
        }
        if !batch.labels.is_empty() {
            labels.extend(&serde_json::from_str(&batch.labels).map_err(bodies::unreadable)?);
        }
        arrived.calls.extend(unpacked(&batch.calls).await?);
    }
    let last = match &segment {
        Some(segment) if !arrived.calls.is_empty() => {
            bodies::read(db, segment.clone()).await.unwrap_or_else(|error| {
                log(Source::Isolate, "segment not added to", &error.to_string());
                None
            })
        }
        _ => None,
    };
    // A segment that cannot be read, for example while the bucket is down, is left as it is, and a new one begun.
    let segment = segment.filter(|_| last.is_some());
    let last = last.unwrap_or_default();
    let mut plan = plan(&open, &open_models, arrived, last, now).map_err(bodies::unreadable)?;
    if !labels.is_empty() {
        plan.labels = label_rows(stored_labels(db, &labels).await?, &labels).map_err(bodies::unreadable)?;
    }
    let mut folded = state;
    for batch in &batches {
        folded.folded_to = batch.id;
        if batch.lag_ms != NOT_OF_THE_QUEUE {
            (folded.stored_at, folded.lag_ms) = (batch.at, batch.lag_ms);
        }
    }
    let id = segment.as_ref().map(|segment| segment.id);
    db.batch(statements(db, plan, folded, id, now).await?).await?;
    Ok(!batches.is_empty())
}

fn tallies_of(sums: &str) -> Result<Tallies, StoreError> {
    let sheet: Sheet = serde_json::from_str(sums).map_err(bodies::unreadable)?;
    Ok(Tallies::from(&sheet))
}

/// Reads the labels of the tokens and days for which some have arrived. They are as old as the state that was read before
/// or newer, and then this fold is undone.
async fn stored_labels(db: &UsageDb, arrived: &LabelTallies) -> Result<Vec<LabelRow>, StoreError> {
    let places: Vec<_> = arrived.iter().map(|(place, _)| place).collect();
    let results =
        db.batch(vec![db.statement(usage_sql!("labels_read"), params![&to_json(&places)?])?]).await?;
    next(&mut results.iter())
}

async fn statements(
    db: &UsageDb,
    plan: Plan,
    to: State,
    segment: Option<i64>,
    now: UnixMs,
) -> Result<Vec<Statement>, StoreError> {
    let mut statements = vec![
        db.statement(
            usage_sql!("state_advance"),
            params![to.version, to.folded_to, now, to.stored_at, to.lag_ms],
        )?,
        db.statement(usage_sql!("inbox_remove"), params![to.folded_to])?,
    ];
    for (OpenChange { put, removed }, put_sql, remove_sql) in [
        (&plan.open, usage_sql!("open_put"), usage_sql!("open_remove")),
        (&plan.open_models, usage_sql!("open_models_put"), usage_sql!("open_models_remove")),
    ] {
        for part in put {
            statements.push(db.statement(put_sql, params![&to_json(&[part])?])?);
        }
        if !removed.is_empty() {
            let named: Vec<OpenPart> =
                removed.iter().map(|part| OpenPart { sums: String::new(), ..part.clone() }).collect();
            statements.push(db.statement(remove_sql, params![&to_json(&named)?])?);
        }
    }
    for rows in &plan.rows {
        statements.push(db.statement(usage_sql!("rollups_add"), params![rows])?);
    }
    for rows in &plan.labels {
        statements.push(db.statement(usage_sql!("labels_put"), params![rows])?);
    }
    for part in plan.last_calls.chunks(LAST_CALLS) {
        statements.push(db.statement(usage_sql!("last_calls_put"), params![&to_json(part)?])?);
    }
    // The first takes the place of the segment that was added to.
    let mut id = segment;
    for calls in plan.segments {
        statements.extend(segment_statements(db, id.take(), calls).await?);
    }
    Ok(statements)
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Makes the statements that store calls, newest first, as a segment, or as several if their text is too long for one.
async fn segment_statements(
    db: &UsageDb,
    mut id: Option<i64>,
    calls: Vec<RawCall>,
) -> Result<Vec<Statement>, StoreError> {
    let segment = Segment::of(&calls);
    let mut blocks = blocks(calls);
    if blocks.len() > 1 {
        return block_statements(db, id, &segment, &blocks).await;
    }
    let mut statements = Vec::new();
    while let Some(mut part) = blocks.pop() {
        let body = packed(&part).await?;
        if body.len() > MAX_BODY && part.len() > 1 {
            let older = part.split_off(part.len() / 2);
            blocks.extend([part, older]);
            continue;
        }
        let (segment, bytes) = (Segment::of(&part), to_u64(body.len()));
        let (object, body) = bodies::put(db, body).await?;
        statements.push(segment.put(db, id.take(), bytes, object.as_ref(), &body)?);
    }
    Ok(statements)
}

/// The description of its calls in the row of a segment.
struct Segment {
    count: u64,
    times: (UnixMs, UnixMs),
    head: String,
}

impl Segment {
    fn of(calls: &[RawCall]) -> Self {
        Self { count: to_u64(calls.len()), times: times(calls).unwrap_or_default(), head: head(calls) }
    }

    fn put(
        &self,
        db: &UsageDb,
        id: Option<i64>,
        bytes: u64,
        object: Option<&String>,
        body: &str,
    ) -> Result<Statement, StoreError> {
        let Self { count, times: (since, until), head } = self;
        let params = params![id, *since, *until, *count, bytes, head, object, body];
        db.statement(usage_sql!("segment_put"), params)
    }
}

/// A block as the SQL takes it.
#[derive(Serialize)]
struct Block {
    n: usize,
    since: UnixMs,
    until: UnixMs,
    head: String,
    start: usize,
    bytes: usize,
}

/// Makes the statements that store a segment of blocks.
async fn block_statements(
    db: &UsageDb,
    id: Option<i64>,
    segment: &Segment,
    blocks: &[Vec<RawCall>],
) -> Result<Vec<Statement>, StoreError> {
    let (mut rows, mut texts, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (n, calls) in blocks.iter().enumerate() {
        let (since, until) = times(calls).unwrap_or_default();
        let body = packed(calls).await?;
        rows.push(Block { n, since, until, head: head(calls), start: bytes, bytes: body.len() });
        bytes += body.len();
        texts.push((n, body));
    }
    let mut object = None;
    if db.bucket().is_some() {
        let text = texts.iter().map(|(_, body)| body.as_str()).collect();
        (object, _) = bodies::put(db, text).await?;
    }
    let mut statements = vec![
        segment.put(db, id, to_u64(bytes), object.as_ref(), "")?,
        db.statement(usage_sql!("blocks_put"), params![id, &to_json(&rows)?])?,
    ];
    while object.is_none() && !texts.is_empty() {
        let mut length = 0;
        let fits = |(_, body): &&(usize, String)| {
            length += body.len();
            length < TEXTS_BYTES
        };
        let rest = texts.split_off(texts.iter().take_while(fits).count().max(1));
        statements.push(db.statement(usage_sql!("block_texts_put"), params![id, &to_json(&texts)?])?);
        texts = rest;
    }
    Ok(statements)
}

/// Merges small segments, if there are enough: a search opens fewer, and their texts are shorter together.
pub async fn merge(db: &UsageDb) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Small {
        id: i64,
        calls: u64,
        bytes: u64,
    }
    let large_calls = to_u64(LARGE_CALLS);
    let results = db
        .batch(vec![
            db.statement(usage_sql!("fold_state"), &[])?,
            db.statement(usage_sql!("segments_small"), params![large_calls, LARGE_BYTES, MERGED])?,
        ])
        .await?;
    let mut results = results.iter();
    let state = State::in_result(results.next())?;
    let small: Vec<Small> = next(&mut results)?;
    let (mut ids, mut calls, mut bytes) = (Vec::new(), 0, 0);
    for segment in small {
        if calls + segment.calls > 2 * large_calls || bytes + segment.bytes > 2 * LARGE_BYTES {
            break;
        }
        (calls, bytes) = (calls + segment.calls, bytes + segment.bytes);
        ids.push(segment.id);
    }
    // Worth it if the result is large, or if there are many, however small.
    let is_many = u32::try_from(ids.len()).is_ok_and(|n| n >= MERGED);
    if ids.len() < 2 || !(is_many || calls >= large_calls || bytes >= LARGE_BYTES) {
        return Ok(());
    }
    let (first, ids) = (ids.first().copied(), to_json(&ids)?);
    let mut merged: Vec<Body> = db.rows(db.statement(usage_sql!("blocks_of"), params![&ids])?).await?;
    merged.extend(db.rows::<Body>(db.statement(usage_sql!("segments_read"), params![&ids])?).await?);
    let mut calls = Vec::new();
    for body in merged {
        let Some(read) = bodies::read(db, body).await? else { return Ok(()) };
        calls.extend(read);
    }
    sort(&mut calls);
    let mut statements = vec![
        db.statement(usage_sql!("state_touch"), params![state.version])?,
        db.statement(usage_sql!("segments_remove"), params![&ids])?,
    ];
    statements.extend(segment_statements(db, first, calls).await?);
    match db.batch(statements).await {
        Err(error) if error.is_of(VERSION) => Ok(()),
        result => result.map(drop),
    }
}
