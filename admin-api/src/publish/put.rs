//! Writes the current value of a subject to KV and to the change feed, side by side, and reads D1 again until the
//! written version is the current one.

use super::feed::{self, FeedError};
use super::kv::{KvError, Writer};
use super::value::{entries_of, route_table};
use crate::db::{Db, StoreError, prices, routes, to_json, tokens};
use domain::access::record::TokenRecord;
use domain::feed::Table;
use domain::id::TokenId;
use domain::kv::TOMBSTONE_TTL_S;
use domain::token::TokenHash;
use edge::clock::now;
use edge::kv::{Prices, Routes, Token};
use edge::log::{Source, log};
use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;
use std::collections::{BTreeMap, BTreeSet};

/// The most simultaneous calls; a Worker may have six connections open.
const CONCURRENT_CALLS: usize = 6;
/// The most rounds of a publisher. It starts over if D1 has changed or KV was busy with the key.
const MAX_ROUNDS: usize = 4;

/// The reason why a subject is not in KV or not in the change feed yet.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    #[error("D1: {0}")]
    Store(String),
    #[error(transparent)]
    Kv(#[from] KvError),
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error("D1 changes faster than KV can be told")]
    Overtaken,
}

impl PublishError {
    /// Returns whether another round may succeed.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Kv(KvError::Busy) | Self::Overtaken)
    }
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// Writes the entries of tokens, in this order, until the written version is the current one in D1. Those that are
/// only `repeated` go to KV alone. Returns the tokens for which this failed.
pub(super) async fn put_tokens(
    writer: &Writer,
    db: &Db,
    tokens: Vec<TokenId>,
    repeated: &BTreeSet<TokenId>,
) -> BTreeMap<TokenId, PublishError> {
    let mut failed = BTreeMap::new();
    let mut open = tokens;
    for _ in 0..MAX_ROUNDS {
        if open.is_empty() {
            break;
        }
        match put_tokens_once(writer, db, &open, repeated).await {
            Ok(errors) => {
                failed.retain(|id, _| !open.contains(id));
                open.retain(|id| errors.get(id).is_some_and(PublishError::is_passing));
                failed.extend(errors);
            }
            Err(error) => {
                failed.extend(open.drain(..).map(|id| (id, error.clone())));
            }
        }
    }
    failed
}

/// Runs one round. Returns the tokens that KV does not have in their current version, each with the reason.
async fn put_tokens_once(
    writer: &Writer,
    db: &Db,
    ids: &[TokenId],
    repeated: &BTreeSet<TokenId>,
) -> Result<BTreeMap<TokenId, PublishError>, PublishError> {
    let json = to_json(ids)?;
    let published = tokens::published(db, &json, now()).await?;
    let mut errors: BTreeMap<TokenId, PublishError> = BTreeMap::new();
    let mut versions: BTreeMap<&TokenId, u64> = BTreeMap::new();
    let mut entries = Vec::new();
    for id in ids {
        let Some(token) = published.get(id) else { continue };
        let list = token.as_ref().map_err(Clone::clone).and_then(|token| {
            versions.insert(id, token.version);
            entries_of(token, now())
        });
        match list {
            Ok(list) => entries.extend(list.into_iter().map(|entry| (id, entry))),
            // Only this token fails: the others are published.
            Err(error) => drop(errors.insert(id.clone(), error.into())),
        }
    }
    let told = entries.iter().filter(|(id, _)| !repeated.contains(id));
    let values = told
        .clone()
        .map(|(_, entry)| Ok((entry.hash.clone(), feed::value(entry.record.version, &entry.record)?)));
    let told_ids: BTreeSet<&TokenId> = told.map(|(id, _)| *id).collect();
    let appended = async {
        let values = values.collect::<Result<Vec<_>, FeedError>>()?;
        writer.kv.feed.append_tokens(values).await
    };
    let puts = stream::iter(&entries).map(|(id, entry)| async move {
        (*id, writer.put::<Token>(&entry.hash, &entry.record, entry.ttl_s).await)
    });
    let puts = puts.buffered(CONCURRENT_CALLS).collect::<Vec<_>>();
    let (puts, appended) = join(puts, appended).await;
    for (id, result) in puts {
        if let Err(error) = result {
            errors.entry(id.clone()).or_insert_with(|| error.into());
        }
    }
    if let Err(error) = appended {
        for id in told_ids {
            errors.entry(id.clone()).or_insert_with(|| error.clone().into());
        }
    }
    for (id, version) in tokens::versions(db, &json).await? {
        if versions.get(&id) != Some(&version) {
            errors.entry(id).or_insert(PublishError::Overtaken);
        }
    }
    Ok(errors)
}

/// Writes the route table. It does not overwrite the earlier system's table, which the gateway serves until it is
/// imported: its routes would be lost.
pub(super) async fn put_routes(writer: &Writer, db: &Db, who: Source<'_>) -> Result<(), PublishError> {
    if !routes::is_v1_imported(db).await?
        && writer.kv.read::<Routes>(&()).await?.is_some_and(|text| is_v1_table(&text))
    {
        let cause = "the earlier system's routes are there: import them first";
        return Err(KvError::Refused(cause.to_owned()).into());
    }
    let mut last = PublishError::Overtaken;
    for _ in 0..MAX_ROUNDS {
        let table = route_table(db, now(), who).await?;
        let appended = writer.kv.feed.append_table(Table::Routes, table.version, &table);
        let (written, appended) = join(writer.put::<Routes>(&(), &table, None), appended).await;
        match written {
            Ok(()) if let Err(error) = appended => return Err(error.into()),
            Ok(()) if routes::table_version(db, now()).await?.is_none_or(|v| v == table.version) => {
                return Ok(());
            }
            Ok(()) => last = PublishError::Overtaken,
            Err(KvError::Busy) => last = KvError::Busy.into(),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last)
}

/// Publishes the database's initial prices, once.
pub async fn first_prices(writer: &Writer, db: &Db, who: Source<'_>) -> Result<(), StoreError> {
    if prices::version(db).await? > 0 {
        return Ok(());
    }
    match put_prices(writer, db).await {
        Ok(()) => prices::note_first(db, now()).await,
        Err(cause) => {
            log(who, "prices cannot be published", &cause);
            Ok(())
        }
    }
}

/// Writes the price list.
pub(super) async fn put_prices(writer: &Writer, db: &Db) -> Result<(), PublishError> {
    let mut failure = PublishError::Overtaken;
    for _ in 0..MAX_ROUNDS {
        let (list, version) = prices::published(db, now()).await?;
        let appended = writer.kv.feed.append_table(Table::Prices, version, &list);
        let (written, appended) = join(writer.put::<Prices>(&(), &list, None), appended).await;
        match written {
            Ok(()) if let Err(error) = appended => return Err(error.into()),
            Ok(()) if prices::version(db).await? == version => return Ok(()),
            Ok(()) => failure = PublishError::Overtaken,
            Err(KvError::Busy) => failure = KvError::Busy.into(),
            Err(error) => return Err(error.into()),
        }
    }
    Err(failure)
}

/// Writes a tombstone over an entry that D1 does not know.
pub async fn bury(writer: &Writer, hash: &TokenHash, record: &TokenRecord) -> Result<(), PublishError> {
    let told = feed::value(record.version, record)?;
    let appended = writer.kv.feed.append_tokens(vec![(hash.clone(), told)]).await;
    let mut result = Err(KvError::Busy);
    for _ in 0..MAX_ROUNDS {
        result = writer.put::<Token>(hash, record, Some(TOMBSTONE_TTL_S)).await;
        if result != Err(KvError::Busy) {
            break;
        }
    }
    result?;
    Ok(appended?)
}

pub fn is_v1_table(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|table| table.get("v").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_version_is_the_earlier_systems() {
        assert!(is_v1_table(r#"{"/api/x":"https://x.example"}"#) && is_v1_table("{}"));
        assert!(!is_v1_table(r#"{"v":2,"routes":[]}"#) && !is_v1_table("?"));
    }
}
