//! Publishes from D1 to KV and to the change feed. D1 is the truth. Both are updated at once, side by side, or by the
//! cron if that fails: "KV has it" below means both. A republication, which repeats what was published before, goes to
//! KV alone: the feed would lose its recent changes for it.
//!
//! An outbox row says "this subject has changed" and holds no value. A publisher reads the current value from D1,
//! writes it, and reads the version again. An old value cannot stay, for these reasons:
//!
//! - Two publishers of one subject may overtake each other: A reads version 1, B reads and writes
//!   version 2, A writes version 1. A then finds version 2 in D1 and publishes again. A deletes its row only
//!   if the version after the write is the one that was written.
//! - KV accepts one write a second of a key and refuses others (429). A publisher that was overtaken or refused waits
//!   for a second, reads D1 again and writes again, up to four times.
//! - Each publisher deletes only the rows that it claimed. If A dies between its write and its
//!   second reading, A's row still exists, its lease ends, and the cron publishes the value that D1 has then.
//! - A change is called published only when no row of its subject is left, its own or another's:
//!   while there is one, somebody may still be writing. The same publication also claims rows that nobody is
//!   publishing, such as those of a republication.
//! - If KV refused a write, or it took too long, the row gets a later time. It is tried
//!   again without end, at most [`MAX_BACKOFF_MS`] apart, so nothing is dropped. The first failure that means "KV is
//!   away" ends a run.
//! - A write that took too long may still arrive. Nothing here can see that; [`crate::reconcile`] compares
//!   each subject again some minutes after its publication, and repairs it.

mod feed;
mod kv;
mod put;
pub mod relay;
pub mod subject;
mod value;

use crate::db::{Db, StoreError, outbox};
use contract::Propagation;
use domain::collect;
use domain::id::TokenId;
use domain::time::MINUTE_MS;
use edge::clock::{now, sleep};
use edge::log::{Source, log};
pub use kv::{KEYS_AT_ONCE, Kv, KvError, Writer};
pub use put::{PublishError, bury, first_prices, is_v1_table};
use put::{put_prices, put_routes, put_tokens};
use std::collections::{BTreeMap, BTreeSet};
pub use subject::{PriceTable, RouteTable, RowId, Subject, WRITER_LEASE_MS};
pub use value::{Entry, entries_of, record_of, route as route_of, route_table};
use worker::Env;

/// The time after which a run's claim ends, in case the run dies.
const CLAIM_MS: i64 = MINUTE_MS;
/// Rows that a run claims at once; they take three queries for any number.
const MAX_ROWS: u32 = 500;
const FIRST_BACKOFF_MS: i64 = 2_000;
const MAX_BACKOFF_MS: i64 = 300_000;
/// The number of times, and the pauses, with which a finished publisher checks whether others of its subject are done.
const LOOKS: u32 = 6;
const LOOK_PAUSE_MS: u64 = 500;
/// The most characters of a cause that an outbox row keeps.
const MAX_CAUSE: usize = 200;

/// Returns the pause after the `attempts`-th failure: 2 s, 4 s, 8 s … 5 min.
pub fn backoff_ms(attempts: u32) -> i64 {
    FIRST_BACKOFF_MS.saturating_mul(1_i64.checked_shl(attempts.min(20)).unwrap_or(1)).min(MAX_BACKOFF_MS)
}

/// Publishes the subject of one row, together with its other due rows. It never fails: the change itself is made,
/// and only its propagation is uncertain.
pub async fn publish(env: &Env, db: &Db, subject: &Subject, row: RowId, request_id: &str) -> Propagation {
    let (kind, entity_id) = subject.key();
    let own = outbox::Row {
        id: row.0,
        kind: kind.to_owned(),
        entity_id: entity_id.to_owned(),
        attempts: 0,
        priority: 0,
    };
    let mut rows = vec![own];
    match outbox::take(db, subject, now(), now() + WRITER_LEASE_MS).await {
        Ok(more) => rows.extend(more),
        Err(error) => log(Source::Request(request_id), "outbox cannot be read", &error.to_string()),
    }
    let is_done = publish_rows(env, db, rows, request_id).await;
    // Another publisher of the subject may be waiting until KV accepts its key again.
    let looks = if is_done { LOOKS } else { 1 };
    for look in 1..=looks {
        match outbox::is_pending(db, subject).await {
            Ok(false) => return Propagation::Published,
            Ok(true) if look < looks => sleep(LOOK_PAUSE_MS).await,
            Ok(true) => {}
            Err(error) => {
                log(Source::Request(request_id), "outbox cannot be read", &error.to_string());
                return Propagation::Pending;
            }
        }
    }
    Propagation::Pending
}

/// Publishes the subjects of the rows. Returns whether KV has them all. During a hold the rows stay unchanged.
pub async fn publish_rows(env: &Env, db: &Db, rows: Vec<outbox::Row>, request_id: &str) -> bool {
    if rows.is_empty() {
        return true;
    }
    match Writer::begin(env, db).await {
        Ok(writer) => return publish_with(&writer, db, rows, true, Source::Request(request_id)).await,
        Err(KvError::Held(_)) => {}
        Err(error) => {
            let failures =
                rows.iter().filter_map(outbox::Row::subject).map(|subject| (subject, error.clone().into()));
            let failures = collect::map(failures);
            settle(db, due(rows), &failures, true, Source::Request(request_id)).await;
        }
    }
    false
}

/// Publishes at most `limit` due rows.
pub async fn drain(env: &Env, db: &Db, limit: u32, request_id: &str) -> Result<(), StoreError> {
    match Writer::begin(env, db).await {
        Ok(writer) => drain_some(&writer, db, limit, Source::Request(request_id)).await.map(|_| ()),
        Err(error) => {
            log(Source::Request(request_id), "nothing published", &error.to_string());
            Ok(())
        }
    }
}

/// Publishes due rows for as long as the writer may write. Returns whether some may be left.
pub async fn drain_all(writer: &Writer, db: &Db, who: Source<'_>) -> Result<bool, StoreError> {
    loop {
        let limit = MAX_ROWS.min(writer.writes_left());
        if limit == 0 {
            return Ok(true);
        }
        if drain_some(writer, db, limit, who).await? < limit {
            return Ok(false);
        }
    }
}

/// Publishes up to `limit` due rows. Returns their number.
pub async fn drain_some(writer: &Writer, db: &Db, limit: u32, who: Source<'_>) -> Result<u32, StoreError> {
    let now = now();
    let rows = outbox::claim(db, now, now + CLAIM_MS, limit).await?;
    let taken = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    publish_with(writer, db, rows, true, who).await;
    Ok(taken)
}

/// Publishes only the subjects of a repair; the caller looks up how many KV has taken. They are
/// compared in the next round and not earlier, because a difference that a repair does not fix would be repaired
/// again and again.
pub async fn publish_repair(
    writer: &Writer,
    db: &Db,
    tokens: &[TokenId],
    with_routes: bool,
    who: Source<'_>,
) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    if with_routes {
        rows.extend(outbox::take(db, &Subject::Routes, now(), now() + CLAIM_MS).await?);
    }
    if !tokens.is_empty() {
        rows.extend(outbox::take_tokens(db, tokens, now(), now() + CLAIM_MS).await?);
    }
    publish_with(writer, db, rows, false, who).await;
    Ok(())
}

/// The due rows of each subject.
type Due = BTreeMap<Subject, DueRows>;

#[derive(Debug, Default)]
struct DueRows {
    ids: Vec<RowId>,
    attempts: u32,
    priority: u32,
}

fn due(rows: Vec<outbox::Row>) -> Due {
    let mut due = Due::new();
    for row in rows {
        let Some(subject) = row.subject() else { continue };
        let is_new = !due.contains_key(&subject);
        let rows = due.entry(subject).or_default();
        rows.ids.push(RowId(row.id));
        rows.attempts = row.attempts.max(rows.attempts);
        rows.priority = if is_new { row.priority } else { row.priority.min(rows.priority) };
    }
    due
}

/// Publishes the subjects of the rows, the most urgent tokens first, each subject once for any number of changes.
/// Returns whether KV has them all. With `is_watched`, they are compared after some minutes.
async fn publish_with(
    writer: &Writer,
    db: &Db,
    rows: Vec<outbox::Row>,
    is_watched: bool,
    who: Source<'_>,
) -> bool {
    let due = due(rows);
    let mut failures: BTreeMap<Subject, PublishError> = BTreeMap::new();
    if due.contains_key(&Subject::Routes)
        && let Err(error) = put_routes(writer, db, who).await
    {
        failures.insert(Subject::Routes, error);
    }
    if due.contains_key(&Subject::Prices)
        && let Err(error) = put_prices(writer, db).await
    {
        failures.insert(Subject::Prices, error);
    }
    let mut tokens: Vec<(u32, TokenId)> = due
        .iter()
        .filter_map(|(subject, rows)| match subject {
            Subject::Token(id) => Some((rows.priority, id.clone())),
            Subject::Routes | Subject::Prices => None,
        })
        .collect();
    tokens.sort_unstable();
    let repeated: BTreeSet<TokenId> = tokens
        .iter()
        .filter(|(priority, _)| *priority == outbox::REPUBLISHED)
        .map(|(_, id)| id.clone())
        .collect();
    let tokens = tokens.into_iter().map(|(_, id)| id).collect();
    let errors = put_tokens(writer, db, tokens, &repeated).await;
    failures.extend(errors.into_iter().map(|(id, error)| (Subject::Token(id), error)));
    settle(db, due, &failures, is_watched, who).await;
    failures.is_empty()
}

/// Deletes the rows of subjects that KV now holds, and gives failed rows a later time. Rows that were not tried keep
/// their claim until it ends.
async fn settle(
    db: &Db,
    due: Due,
    failures: &BTreeMap<Subject, PublishError>,
    is_watched: bool,
    who: Source<'_>,
) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (subject, rows) in due {
        match failures.get(&subject) {
            None => done.extend(rows.ids),
            Some(PublishError::Kv(KvError::NotTried)) => {}
            Some(error) => {
                let error = domain::usage::clip(&error.to_string(), MAX_CAUSE);
                log(who, "publication failed, to be tried again", &error);
                let retry_at = now() + backoff_ms(rows.attempts);
                let failure = |id| outbox::Failed { id, retry_at, error: error.clone() };
                failed.extend(rows.ids.into_iter().map(failure));
            }
        }
    }
    if let Err(error) = outbox::fail(db, &failed).await {
        // The rows become due again when their leases end.
        log(who, "outbox rows cannot be updated", &error.to_string());
    }
    if let Err(error) = outbox::done(db, &done, is_watched, now()).await {
        log(who, "outbox rows cannot be taken away", &error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_row_of_a_subject_counts() {
        let row = |id: &str, entity_id: &str, attempts, priority| outbox::Row {
            id: id.into(),
            kind: "token".into(),
            entity_id: entity_id.into(),
            attempts,
            priority,
        };
        let due = due(vec![row("a", "tok_1", 0, 3), row("b", "tok_2", 0, 1), row("c", "tok_1", 2, 0)]);
        let first = &due[&Subject::Token("tok_1".into())];
        assert_eq!((first.priority, first.attempts, first.ids.len()), (0, 2, 2));
        assert_eq!(due[&Subject::Token("tok_2".into())].priority, 1);
    }

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pauses: Vec<i64> = (0..10).map(backoff_ms).collect();
        assert_eq!(pauses[..4], [2_000, 4_000, 8_000, 16_000]);
        assert_eq!(pauses[8..], [300_000, 300_000]);
        assert_eq!(backoff_ms(u32::MAX), MAX_BACKOFF_MS);
    }
}
