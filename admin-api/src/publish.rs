//! From D1 to KV. D1 is the truth; KV is told, at once where it listens, by cron where it did not.
//!
//! An outbox row stands for "this subject has changed" and holds no value. Whoever publishes reads
//! the present value from D1, writes it, and reads the version again. Why an old value cannot stay:
//!
//! - Two publishers of one subject may overtake each other: A reads version 1, B reads and writes
//!   version 2, A writes version 1. A then finds version 2 in D1 and publishes again; only when the
//!   version after the writing is the one that was written does A take its row away.
//! - Each publisher deletes the rows it came for and no others. If A dies between its writing and its
//!   second look, A's row is still there, its lease ends, and the cron publishes what D1 says then.
//! - A change is called published only when no row of its subject is left, its own or another's:
//!   while there is one, somebody may still be writing.
//! - A writing that KV refused, or that took too long, leaves the row with a later time; it is tried
//!   again for ever, at most [`MAX_BACKOFF_MS`] apart, so nothing is dropped.
//! - A writing that took too long may arrive after all, whenever it likes. Nothing here can see that;
//!   [`crate::reconcile`] does, and mends it.

mod value;

use crate::db::{Db, StoreError, outbox, prices, routes, to_json, tokens};
use domain::api::Propagation;
use domain::id::TokenId;
use domain::kv::{ROUTES_KEY, token_key};
use domain::price::PRICES_KEY;
use domain::time::{MINUTE_MS, UnixMs};
use edge::env::TOKENS;
use edge::log::log;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;
pub use value::{Entry, entries_of, record_of, route as route_of, route_table};
use worker::{Date, Delay, Env};

/// How long the writer of a change has to publish it himself before the cron does.
pub const WRITER_LEASE_MS: i64 = 30_000;
/// How long the claim of a run holds, should the run die.
const CLAIM_MS: i64 = MINUTE_MS;
/// A write that takes longer counts as failed.
const WRITE_TIMEOUT_MS: u64 = 10_000;
const READ_TIMEOUT_MS: u64 = 5_000;
/// A Worker may have six connections open.
pub const CONCURRENT_CALLS: usize = 6;
const FIRST_BACKOFF_MS: i64 = 2_000;
const MAX_BACKOFF_MS: i64 = 300_000;
/// How often a publisher starts over because D1 has moved on meanwhile.
const MAX_ROUNDS: usize = 4;

/// The id of an outbox row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RowId(pub String);

/// What is published as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// All secrets of a token.
    Token(TokenId),
    /// The route table.
    Routes,
    /// What AI models cost.
    Prices,
}

impl Subject {
    /// Kind and entity id in the outbox.
    pub fn key(&self) -> (&'static str, &str) {
        match self {
            Self::Token(id) => ("token", id.as_str()),
            Self::Routes => ("routes", ""),
            Self::Prices => ("prices", ""),
        }
    }

    fn of_row(row: &outbox::Row) -> Option<Self> {
        match row.kind.as_str() {
            "token" => Some(Self::Token(TokenId::from(row.entity_id.as_str()))),
            "routes" => Some(Self::Routes),
            "prices" => Some(Self::Prices),
            _ => None,
        }
    }
}

/// Why a subject is not in KV yet.
#[derive(Clone, Debug, thiserror::Error)]
enum PublishError {
    #[error("D1: {0}")]
    Store(String),
    #[error("KV: {0}")]
    Kv(String),
    #[error("D1 changes faster than KV can be told")]
    Overtaken,
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

pub fn now() -> UnixMs {
    i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX)
}

/// The pause after the `attempts`-th failure: 2 s, 4 s, 8 s … 5 min.
pub fn backoff_ms(attempts: u32) -> i64 {
    FIRST_BACKOFF_MS.saturating_mul(1_i64.checked_shl(attempts.min(20)).unwrap_or(1)).min(MAX_BACKOFF_MS)
}

/// Publishes the subject of one row. Never fails: the change itself is done, and only its
/// propagation is in question.
pub async fn publish(env: &Env, db: &Db, subject: &Subject, row: RowId, request_id: &str) -> Propagation {
    let (kind, entity_id) = subject.key();
    let row = outbox::Row { id: row.0, kind: kind.to_owned(), entity_id: entity_id.to_owned(), attempts: 0 };
    publish_rows(env, db, vec![row], request_id).await;
    match outbox::is_pending(db, subject).await {
        Ok(false) => Propagation::Published,
        Ok(true) => Propagation::Pending,
        Err(error) => {
            log(request_id, "outbox cannot be read", &error.to_string());
            Propagation::Pending
        }
    }
}

/// Publishes what is due, at most `limit` rows of it; how many rows there were.
pub async fn drain(env: &Env, db: &Db, limit: u32, request_id: &str) -> Result<u32, StoreError> {
    let now = now();
    let rows = outbox::claim(db, now, now + CLAIM_MS, limit).await?;
    let taken = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    publish_rows(env, db, rows, request_id).await;
    Ok(taken)
}

/// Publishes what the rows ask for, each subject once however many changes it has seen; takes the rows
/// of what KV has taken away and gives the others a later time.
pub async fn publish_rows(env: &Env, db: &Db, rows: Vec<outbox::Row>, request_id: &str) {
    let mut due: BTreeMap<Subject, (Vec<RowId>, u32)> = BTreeMap::new();
    for row in rows {
        let Some(subject) = Subject::of_row(&row) else { continue };
        let (ids, attempts) = due.entry(subject).or_default();
        ids.push(RowId(row.id));
        *attempts = row.attempts.max(*attempts);
    }
    let tokens: BTreeSet<TokenId> = due
        .keys()
        .filter_map(|subject| match subject {
            Subject::Token(id) => Some(id.clone()),
            Subject::Routes | Subject::Prices => None,
        })
        .collect();
    let mut failures: BTreeMap<Subject, PublishError> = BTreeMap::new();
    for (id, error) in put_tokens(env, db, tokens).await {
        failures.insert(Subject::Token(id), error);
    }
    if due.contains_key(&Subject::Routes)
        && let Err(error) = put_routes(env, db, request_id).await
    {
        failures.insert(Subject::Routes, error);
    }
    if due.contains_key(&Subject::Prices)
        && let Err(error) = put_prices(env, db).await
    {
        failures.insert(Subject::Prices, error);
    }

    let mut done = Vec::new();
    for (subject, (ids, attempts)) in due {
        let Some(error) = failures.get(&subject) else {
            done.extend(ids);
            continue;
        };
        let cause = error.to_string();
        log(request_id, "publication failed, to be tried again", &cause);
        if let Err(error) = outbox::fail(db, &ids, now() + backoff_ms(attempts), &cause).await {
            // The row's lease ends by itself.
            log(request_id, "outbox row cannot be updated", &error.to_string());
        }
    }
    if let Err(error) = outbox::done(db, &done).await {
        log(request_id, "outbox rows cannot be taken away", &error.to_string());
    }
}

/// Writes the entries of tokens until D1 says that what was written is the present version; the
/// tokens for which that could not be reached.
async fn put_tokens(env: &Env, db: &Db, tokens: BTreeSet<TokenId>) -> BTreeMap<TokenId, PublishError> {
    let mut failed = BTreeMap::new();
    let mut open = tokens;
    for _ in 0..MAX_ROUNDS {
        if open.is_empty() {
            return failed;
        }
        match put_tokens_once(env, db, &open).await {
            Ok((overtaken, errors)) => {
                failed.extend(errors);
                open = overtaken;
            }
            Err(error) => {
                failed.extend(open.into_iter().map(|id| (id, error.clone())));
                return failed;
            }
        }
    }
    failed.extend(open.into_iter().map(|id| (id, PublishError::Overtaken)));
    failed
}

type Round = (BTreeSet<TokenId>, BTreeMap<TokenId, PublishError>);

/// One round: which tokens have moved on meanwhile, and which KV did not take.
async fn put_tokens_once(env: &Env, db: &Db, ids: &BTreeSet<TokenId>) -> Result<Round, PublishError> {
    let json = to_json(ids)?;
    let published = tokens::published(db, &json, now()).await?;
    let mut errors: BTreeMap<TokenId, PublishError> = BTreeMap::new();
    let mut versions: BTreeMap<TokenId, u64> = BTreeMap::new();
    let mut entries = Vec::new();
    for token in &published {
        versions.insert(token.id.clone(), token.version);
        match entries_of(token, now()) {
            Ok(list) => entries.extend(list.into_iter().map(|entry| (&token.id, entry))),
            Err(error) => {
                errors.insert(token.id.clone(), error.into());
            }
        }
    }
    let writes = stream::iter(entries).map(|(id, entry)| async move {
        (id, put(env, &token_key(&entry.hash), &entry.record, entry.ttl_s).await)
    });
    for (id, result) in writes.buffer_unordered(CONCURRENT_CALLS).collect::<Vec<_>>().await {
        if let Err(error) = result {
            errors.insert(id.clone(), error);
        }
    }
    let present = tokens::versions(db, &json).await?;
    let has_moved_on = |(id, version): (TokenId, u64)| {
        (versions.get(&id) != Some(&version) && !errors.contains_key(&id)).then_some(id)
    };
    Ok((present.into_iter().filter_map(has_moved_on).collect(), errors))
}

/// Writes the route table. One of the earlier system, which the gateway serves until it is imported,
/// is not overwritten before: its routes would be gone.
async fn put_routes(env: &Env, db: &Db, request_id: &str) -> Result<(), PublishError> {
    if !routes::is_v1_imported(db).await? {
        let present = read(env, ROUTES_KEY).await.map_err(PublishError::Kv)?;
        if present.is_some_and(|text| is_v1_table(&text)) {
            return Err(PublishError::Kv(
                "the earlier system's routes are there: import them first".to_owned(),
            ));
        }
    }
    for _ in 0..MAX_ROUNDS {
        let table = route_table(db, now(), request_id).await?;
        put(env, ROUTES_KEY, &table, None).await?;
        if routes::table_version(db, now()).await?.is_none_or(|version| version == table.version) {
            return Ok(());
        }
    }
    Err(PublishError::Overtaken)
}

/// Publishes the prices that the database came with, once.
pub async fn first_prices(env: &Env, db: &Db, request_id: &str) -> Result<(), StoreError> {
    if prices::version(db).await? > 0 {
        return Ok(());
    }
    match put_prices(env, db).await {
        Ok(()) => prices::note_first(db, now()).await,
        Err(cause) => {
            log(request_id, "prices cannot be published", &cause);
            Ok(())
        }
    }
}

/// Writes the price list.
async fn put_prices(env: &Env, db: &Db) -> Result<(), PublishError> {
    for _ in 0..MAX_ROUNDS {
        let (list, version) = prices::published(db, now()).await?;
        put(env, PRICES_KEY, &list, None).await?;
        if prices::version(db).await? == version {
            return Ok(());
        }
    }
    Err(PublishError::Overtaken)
}

async fn put<T: Serialize>(env: &Env, key: &str, value: &T, ttl_s: Option<u64>) -> Result<(), PublishError> {
    let failed = |cause: String| PublishError::Kv(cause);
    let kv = env.kv(TOKENS).map_err(|e| failed(e.to_string()))?;
    let text = serde_json::to_string(value).map_err(|e| failed(e.to_string()))?;
    let builder = kv.put(key, text).map_err(|e| failed(e.to_string()))?;
    let builder = match ttl_s {
        Some(ttl_s) => builder.expiration_ttl(ttl_s),
        None => builder,
    };
    let write = pin!(builder.execute());
    let timeout = pin!(Delay::from(Duration::from_millis(WRITE_TIMEOUT_MS)));
    match select(write, timeout).await {
        Either::Left((result, _)) => result.map_err(|e| failed(e.to_string())),
        Either::Right(_) => Err(failed("timed out".to_owned())),
    }
}

pub fn is_v1_table(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|table| table.get("v").is_none())
}

/// The text of an entry; `None` where there is none.
pub async fn read(env: &Env, key: &str) -> Result<Option<String>, String> {
    let kv = env.kv(TOKENS).map_err(|e| e.to_string())?;
    let read = pin!(async { kv.get(key).text().await });
    let timeout = pin!(Delay::from(Duration::from_millis(READ_TIMEOUT_MS)));
    match select(read, timeout).await {
        Either::Left((result, _)) => result.map_err(|e| e.to_string()),
        Either::Right(_) => Err("timed out".to_owned()),
    }
}

/// Writes a tombstone over an entry that D1 does not know.
pub async fn bury(env: &Env, key: &str, record: &domain::kv::TokenRecord) -> Result<(), String> {
    put(env, key, record, Some(domain::kv::TOMBSTONE_TTL_S)).await.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_the_earlier_system_is_known_by_its_lack_of_a_version() {
        assert!(is_v1_table(r#"{"/api/x":"https://x.example"}"#) && is_v1_table("{}"));
        assert!(!is_v1_table(r#"{"v":2,"routes":[]}"#) && !is_v1_table("?"));
    }

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pauses: Vec<i64> = (0..10).map(backoff_ms).collect();
        assert_eq!(pauses[..4], [2_000, 4_000, 8_000, 16_000]);
        assert_eq!(pauses[8..], [300_000, 300_000]);
        assert_eq!(backoff_ms(u32::MAX), MAX_BACKOFF_MS);
    }
}
