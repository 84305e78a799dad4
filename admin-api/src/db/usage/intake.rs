//! Stores batches of the queue, each message once.

use super::bodies::packed;
use super::errors;
use crate::db::{Param, Statement, StoreError, UsageDb, all_rows_of, params, rows_of, to_json, usage_sql};
use crate::intake::{Entry, Keyed, Loss, TakenKeys, fresh};
use domain::time::UnixMs;
use domain::usage::key::MessageKey;
use domain::usage::segment::{RawCall, head};
use domain::usage::sheet::Sheet;
use serde::Deserialize;

/// The longest text of a row, with room for the rest; D1 takes 2 MB.
const MAX_ROW: usize = 1_900_000;
/// Tries to store a batch, if other consumers keep coming first.
const TRIES: usize = 10;

/// The state of the database before a batch was stored.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Waiting {
    last: i64,
    /// When the last fold was, unix ms.
    pub folded_at: UnixMs,
    /// Bytes that wait to be folded.
    #[serde(rename = "waiting")]
    pub bytes: u64,
}

/// Stores those of the messages that are not stored yet, as one row, or as several if one would be too long. A batch
/// without any is noted all the same: it shows that the consumer is at work.
pub async fn take_in(
    db: &UsageDb,
    messages: &[Keyed],
    unreadable: &[Loss],
    lag_ms: i64,
    now: UnixMs,
) -> Result<Waiting, StoreError> {
    let (mut left, mut unreadable) = (vec![messages], unreadable);
    let mut stored = Err(StoreError::Constraint(String::new()));
    while let Some(part) = left.pop() {
        match take_in_part(db, part, unreadable, lag_ms, now).await {
            Err(StoreError::Value(_)) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                left.extend([second, first]);
            }
            result => {
                stored = Ok(result?);
                unreadable = &[];
            }
        }
    }
    stored
}

/// Stores messages as one row. Fails with [`StoreError::Value`] if the row would be too long.
async fn take_in_part(
    db: &UsageDb,
    messages: &[Keyed],
    unreadable: &[Loss],
    lag_ms: i64,
    now: UnixMs,
) -> Result<Waiting, StoreError> {
    let slots: Vec<i64> = messages.iter().map(|keyed| keyed.key.slot()).collect();
    let slots = to_json(&slots)?;
    let mut refused = StoreError::Constraint(String::new());
    for _ in 0..TRIES {
        let results = db
            .batch(vec![
                db.statement(usage_sql!("inbox_last"), &[])?,
                db.statement(usage_sql!("taken_get"), params![&slots])?,
            ])
            .await?;
        let mut results = results.iter();
        let waiting: Option<Waiting> =
            results.next().map(rows_of).transpose()?.and_then(|mut rows| rows.pop());
        let waiting = waiting.ok_or_else(|| StoreError::Unreadable("state".to_owned()))?;
        // Strictly: a key that is left out would count its message twice.
        let taken: Vec<TakenKeys> = results.next().map(all_rows_of).transpose()?.unwrap_or_default();
        let mut entry = Entry::of(&fresh(messages, &taken), now);
        entry.losses.extend_from_slice(unreadable);
        match db.batch(statements(db, &entry, waiting.last, lag_ms, now).await?).await {
            Ok(_) => return Ok(waiting),
            // Another consumer or a fold came first.
            Err(error) if error.is_of("inbox.id") => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// Makes the statements that store an entry after the batch `last`, for one transaction.
async fn statements(
    db: &UsageDb,
    entry: &Entry,
    last: i64,
    lag_ms: i64,
    now: UnixMs,
) -> Result<Vec<Statement>, StoreError> {
    let calls = packed(&entry.calls).await?;
    let time = |call: Option<&RawCall>| Param::from(call.map(RawCall::at));
    let sums = to_json(&Sheet::from(&entry.sums))?;
    let labels = if entry.labels.is_empty() { String::new() } else { to_json(&entry.labels)? };
    let models = if entry.models.is_empty() { String::new() } else { to_json(&Sheet::from(&entry.models))? };
    if calls.len() + sums.len() + labels.len() + models.len() > MAX_ROW {
        return Err(StoreError::Value("the calls of a batch are too long for a row".to_owned()));
    }
    let mut statements = vec![db.statement(
        usage_sql!("inbox_add"),
        &[
            (last + 1).into(),
            now.into(),
            lag_ms.into(),
            time(entry.calls.last()),
            time(entry.calls.first()),
            Param::Text(&sums),
            Param::Text(&calls),
            Param::Text(&head(&entry.calls)),
            Param::Text(&labels),
            Param::Text(&models),
        ],
    )?];
    if !entry.errors.is_empty() {
        statements.push(errors::put(db, last + 1, &entry.errors).await?);
    }
    if !entry.keys.is_empty() {
        statements.push(db.statement(usage_sql!("taken_add"), params![&to_json(&entry.keys)?])?);
    }
    if !entry.losses.is_empty() {
        statements.push(losses(db, &entry.losses, now)?);
    }
    Ok(statements)
}

fn losses(db: &UsageDb, losses: &[Loss], now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(usage_sql!("losses_add"), params![&to_json(losses)?, now])
}

/// Returns whether the message with this key is stored.
pub async fn is_taken(db: &UsageDb, key: &MessageKey) -> Result<bool, StoreError> {
    let slot = to_json(&[key.slot()])?;
    let taken: Vec<TakenKeys> = db.rows(db.statement(usage_sql!("taken_get"), params![&slot])?).await?;
    Ok(taken.iter().flat_map(TakenKeys::each).any(|known| known == key.as_str()))
}

/// Counts what was lost, each message once.
pub async fn add_losses(db: &UsageDb, lost: &[Loss], now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![losses(db, lost, now)?]).await?;
    Ok(())
}

/// The age of a batch that says nothing about the queue or its consumer.
pub const NOT_OF_THE_QUEUE: i64 = -1;

/// Stores imported calls with the mark of their part. A part that was imported before is left out.
pub async fn take_part(db: &UsageDb, entry: &Entry, digest: &str, now: UnixMs) -> Result<(), StoreError> {
    let mut refused = StoreError::Constraint(String::new());
    for _ in 0..TRIES {
        let waiting: Option<Waiting> = db.first(db.statement(usage_sql!("inbox_last"), &[])?).await?;
        let waiting = waiting.ok_or_else(|| StoreError::Unreadable("state".to_owned()))?;
        let mut batch = statements(db, entry, waiting.last, NOT_OF_THE_QUEUE, now).await?;
        batch.push(db.statement(usage_sql!("imported_add"), params![digest, now])?);
        match db.batch(batch).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_of("imported_parts") => return Ok(()),
            Err(error) if error.is_of("inbox.id") => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// Returns those of the parts that were already imported.
pub async fn known_parts(db: &UsageDb, digests: &[String]) -> Result<Vec<String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        digest: String,
    }
    let rows: Vec<Row> =
        db.rows(db.statement(usage_sql!("imported_find"), params![&to_json(digests)?])?).await?;
    Ok(rows.into_iter().map(|row| row.digest).collect())
}
