//! KV held against D1: what is missing, what differs, what D1 does not know.
//!
//! In three parts, each a slice at a time: the entries of all tokens in the order of their ids, the
//! route table, and the keys that KV lists. What has changed within [`SETTLED_MS`] is left out,
//! because KV may not show it yet; so is what the outbox is still to publish.
//!
//! A difference is looked at twice: when D1 has moved on since it was found, it is none.

use crate::db::{Db, StoreError, outbox, routes, settings, to_json, tokens, upkeep};
use crate::publish::{self, CONCURRENT_CALLS, Entry, entries_of, now, read, route_table};
use domain::api::upkeep::{Drift, DriftKind};
use domain::id::TokenId;
use domain::kv::{ROUTES_KEY, RouteTableV2, TokenRecord, TokenState, token_key};
use domain::time::{MINUTE_MS, UnixMs};
use domain::token::TokenHash;
use edge::env::TOKENS;
use edge::log::log;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use worker::Env;

/// KV shows a change everywhere within a minute; twice that.
const SETTLED_MS: i64 = 2 * MINUTE_MS;
/// How long after a change the cron looks at it, each minute anew.
const WATCHED_MS: i64 = 5 * MINUTE_MS;
/// Tokens, or listed keys, in one slice.
const SLICE: u32 = 100;
/// The outbox's own limit for what a repair publishes at once.
const REPAIRED_AT_ONCE: u32 = 200;
const TOKEN_PREFIX: &str = "token:";

/// Where the comparison stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// After this token.
    Tokens(String),
    Routes,
    /// KV's own cursor; empty at the beginning.
    Keys(String),
}

impl Position {
    pub const START: Self = Self::Tokens(String::new());

    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("tokens", after) => Some(Self::Tokens(after.to_owned())),
            ("routes", "") => Some(Self::Routes),
            ("keys", cursor) => Some(Self::Keys(cursor.to_owned())),
            _ => None,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Self::Tokens(after) => format!("tokens:{after}"),
            Self::Routes => "routes:".to_owned(),
            Self::Keys(cursor) => format!("keys:{cursor}"),
        }
    }
}

/// What one slice showed.
#[derive(Debug, Default)]
pub struct Slice {
    pub compared: u32,
    pub drift: Vec<Drift>,
    /// Subjects that were compared and are as they should be.
    equal: Vec<String>,
    /// Entries that D1 does not know, to be buried by a repair.
    stray: Vec<(String, TokenRecord)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("KV: {0}")]
    Kv(String),
}

/// Compares one slice and says where the next begins; `None` at the end.
pub async fn compare(
    env: &Env,
    db: &Db,
    position: &Position,
) -> Result<(Slice, Option<Position>), ReconcileError> {
    match position {
        Position::Tokens(after) => {
            let ids = tokens::slice(db, after, SLICE).await?;
            let next = match ids.last() {
                Some(last) if ids.len() == SLICE as usize => Position::Tokens(last.to_string()),
                _ => Position::Routes,
            };
            Ok((compare_tokens(env, db, &ids).await?, Some(next)))
        }
        Position::Routes => Ok((compare_routes(env, db).await?, Some(Position::Keys(String::new())))),
        Position::Keys(cursor) => compare_keys(env, db, cursor).await,
    }
}

/// Whether what KV holds is what D1 asks for.
fn verdict(entry: &Entry, text: Option<&str>, now: UnixMs) -> Option<DriftKind> {
    let Some(text) = text else {
        let has_ended = entry.record.secret_ends_at.is_some_and(|end| end <= now);
        // A tombstone goes after a day, the entry of an ended secret too.
        let may_be_gone = entry.record.state == TokenState::Revoked || has_ended;
        return (!may_be_gone).then_some(DriftKind::Missing);
    };
    let is_equal = match TokenRecord::parse(text, &entry.hash) {
        // Whatever else it says, a tombstone refuses.
        Ok(found) if entry.record.state == TokenState::Revoked => found.state == TokenState::Revoked,
        Ok(found) => found == entry.record,
        Err(_) => false,
    };
    (!is_equal).then_some(DriftKind::Different)
}

async fn compare_tokens(env: &Env, db: &Db, ids: &[TokenId]) -> Result<Slice, ReconcileError> {
    if ids.is_empty() {
        return Ok(Slice::default());
    }
    let now = now();
    let json = to_json(ids)?;
    let pending: BTreeSet<TokenId> = outbox::pending_of(db, ids).await?.into_iter().collect();
    let mut published = tokens::published(db, &json, now).await?;
    published.retain(|token| token.updated_at < now - SETTLED_MS && !pending.contains(&token.id));
    let mut entries = Vec::new();
    for token in &published {
        entries.extend(entries_of(token, now)?.into_iter().map(|entry| (&token.id, entry)));
    }
    let reads = stream::iter(entries).map(|(id, entry)| async move {
        let text = read(env, &token_key(&entry.hash)).await?;
        Ok((id, verdict(&entry, text.as_deref(), now)))
    });
    let verdicts: Vec<Result<_, String>> = reads.buffer_unordered(CONCURRENT_CALLS).collect().await;
    let mut slice = Slice::default();
    let mut found: BTreeMap<&TokenId, Option<DriftKind>> = BTreeMap::new();
    for verdict in verdicts {
        let (id, kind) = verdict.map_err(ReconcileError::Kv)?;
        slice.compared += 1;
        let worst = found.entry(id).or_default();
        *worst = worst.or(kind);
    }
    let present: BTreeMap<TokenId, u64> = tokens::versions(db, &json).await?.into_iter().collect();
    let versions: BTreeMap<&TokenId, u64> = published.iter().map(|t| (&t.id, t.version)).collect();
    for (id, kind) in found {
        match kind {
            None => slice.equal.push(id.to_string()),
            Some(kind) if present.get(id) == versions.get(id) => {
                slice.drift.push(Drift { kind, subject: id.to_string(), repaired: false });
            }
            Some(_) => {}
        }
    }
    Ok(slice)
}

async fn compare_routes(env: &Env, db: &Db) -> Result<Slice, ReconcileError> {
    let is_settled = routes::table_changed_at(db).await?.is_none_or(|at| at < now() - SETTLED_MS);
    if !is_settled || outbox::is_pending(db, &publish::Subject::Routes).await? {
        return Ok(Slice::default());
    }
    let wanted = route_table(db, now(), "reconcile").await?;
    let text = read(env, ROUTES_KEY).await.map_err(ReconcileError::Kv)?;
    let kind = match text.as_deref() {
        None if wanted.routes.is_empty() => None,
        None => Some(DriftKind::Missing),
        Some(text) => table_verdict(&wanted, text),
    };
    let subject = ROUTES_KEY.to_owned();
    let mut slice = Slice { compared: 1, ..Slice::default() };
    match kind {
        None => slice.equal.push(subject),
        Some(kind) if routes::table_version(db, now()).await? == Some(wanted.version) => {
            slice.drift.push(Drift { kind, subject, repaired: false });
        }
        Some(_) => {}
    }
    Ok(slice)
}

fn table_verdict(wanted: &RouteTableV2, text: &str) -> Option<DriftKind> {
    if publish::is_v1_table(text) {
        return Some(DriftKind::Unknown);
    }
    let Ok(found) = serde_json::from_str::<RouteTableV2>(text) else { return Some(DriftKind::Different) };
    // That no token of the earlier form is left shows with time alone, and costs a lookup at most.
    let legacy_tokens = found.legacy_tokens || wanted.legacy_tokens;
    let is_equal = found == RouteTableV2 { legacy_tokens, ..wanted.clone() };
    (!is_equal).then_some(DriftKind::Different)
}

async fn compare_keys(env: &Env, db: &Db, cursor: &str) -> Result<(Slice, Option<Position>), ReconcileError> {
    let failed = |cause: worker::KvError| ReconcileError::Kv(cause.to_string());
    let kv = env.kv(TOKENS).map_err(|e| ReconcileError::Kv(e.to_string()))?;
    let list = kv.list().prefix(TOKEN_PREFIX.to_owned()).limit(u64::from(SLICE));
    let list = if cursor.is_empty() { list } else { list.cursor(cursor.to_owned()) };
    let page = list.execute().await.map_err(failed)?;
    let hash_of = |name: &str| name.strip_prefix(TOKEN_PREFIX)?.parse::<TokenHash>().ok();
    let hashes: Vec<TokenHash> = page.keys.iter().filter_map(|key| hash_of(&key.name)).collect();
    let mut slice = Slice { compared: u32::try_from(hashes.len()).unwrap_or(u32::MAX), ..Slice::default() };
    for hash in tokens::unknown_secrets(db, &hashes).await? {
        let key = token_key(&hash);
        let Some(text) = read(env, &key).await.map_err(ReconcileError::Kv)? else { continue };
        // What cannot be read grants nothing.
        let Ok(record) = TokenRecord::parse(&text, &hash) else { continue };
        if record.state == TokenState::Revoked {
            continue;
        }
        // One of the earlier form waits for its import.
        if !publish::is_v1_table(&text) {
            slice.stray.push((key.clone(), TokenRecord { state: TokenState::Revoked, ..record }));
        }
        slice.drift.push(Drift { kind: DriftKind::Unknown, subject: key, repaired: false });
    }
    let next = page.cursor.filter(|_| !page.list_complete).map(Position::Keys);
    Ok((slice, next))
}

/// Mends what a slice found: D1's word is published anew, and what D1 does not know is buried. What
/// waits for an import is left alone.
pub async fn repair(env: &Env, db: &Db, slice: &mut Slice, request_id: &str) -> Result<(), ReconcileError> {
    let is_ours = |drift: &&mut Drift| matches!(drift.kind, DriftKind::Missing | DriftKind::Different);
    let mut ids = Vec::new();
    for drift in slice.drift.iter_mut().filter(is_ours) {
        if drift.subject == ROUTES_KEY {
            outbox::insert_routes(db, now()).await?;
        } else {
            ids.push(TokenId::from(drift.subject.as_str()));
        }
        drift.repaired = true;
    }
    if !ids.is_empty() {
        outbox::insert_tokens(db, &ids, now()).await?;
    }
    publish::drain(env, db, REPAIRED_AT_ONCE, request_id).await?;
    for (key, tombstone) in &slice.stray {
        publish::bury(env, key, tombstone).await.map_err(ReconcileError::Kv)?;
        if let Some(drift) = slice.drift.iter_mut().find(|drift| drift.subject == *key) {
            drift.repaired = true;
        }
    }
    Ok(())
}

/// Writes what a slice found to the notifications. What waits for an import is no news.
pub async fn note(db: &Db, slice: &Slice) -> Result<(), StoreError> {
    let waits = |drift: &Drift| {
        drift.kind == DriftKind::Unknown && !slice.stray.iter().any(|(key, _)| *key == drift.subject)
    };
    let drift: Vec<Drift> = slice.drift.iter().filter(|drift| !waits(drift)).cloned().collect();
    // A stray entry that was buried is no subject of any later comparison.
    let buried = drift.iter().filter(|d| d.kind == DriftKind::Unknown && d.repaired);
    let resolved: Vec<String> =
        slice.equal.iter().cloned().chain(buried.map(|d| d.subject.clone())).collect();
    if drift.is_empty() && resolved.is_empty() {
        return Ok(());
    }
    db.batch(upkeep::note_drift(db, &drift, &resolved, now())?).await?;
    Ok(())
}

/// How far the cron has come.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// [`Position::text`].
    pub next: Option<String>,
    /// When the end was last reached.
    pub completed_at: Option<UnixMs>,
}

pub async fn progress(db: &Db) -> Result<Progress, StoreError> {
    let setting = settings::get(db, settings::RECONCILE).await?;
    Ok(setting.and_then(|s| serde_json::from_str(&s.value).ok()).unwrap_or_default())
}

/// One run of the cron: what changed some minutes ago, and, with `all`, a slice of everything.
pub async fn run(env: &Env, db: &Db, all: bool) -> Result<(), ReconcileError> {
    let now = now();
    let recent = tokens::changed_between(db, now - WATCHED_MS, now - SETTLED_MS, SLICE).await?;
    let mut slice = compare_tokens(env, db, &recent).await?;
    mend(env, db, &mut slice).await?;
    if !all {
        return Ok(());
    }
    let progress = progress(db).await?;
    let position = progress.next.as_deref().and_then(Position::parse).unwrap_or(Position::START);
    let (mut slice, next) = compare(env, db, &position).await?;
    mend(env, db, &mut slice).await?;
    let progress = Progress {
        completed_at: if next.is_none() { Some(now) } else { progress.completed_at },
        next: next.map(|position| position.text()),
    };
    db.batch(vec![settings::put(db, settings::RECONCILE, &to_json(&progress)?, now)?]).await?;
    Ok(())
}

async fn mend(env: &Env, db: &Db, slice: &mut Slice) -> Result<(), ReconcileError> {
    for drift in &slice.drift {
        log("reconcile", "KV is not what D1 says", &format!("{:?} {}", drift.kind, drift.subject));
    }
    if !slice.drift.is_empty() {
        repair(env, db, slice, "reconcile").await?;
    }
    Ok(note(db, slice).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: TokenState, secret_ends_at: Option<UnixMs>) -> Entry {
        Entry {
            hash: "a".repeat(64).parse().unwrap(),
            record: TokenRecord {
                v: 2,
                id: "tok_1".into(),
                name: "n".into(),
                team: "ops".into(),
                scopes: vec!["openai".parse().unwrap()],
                expires_at: None,
                state,
                secret_ends_at,
                cap: None,
                ip_allow: vec![],
                limits: domain::limit::Limits::default(),
                inject_faults: false,
                version: 7,
            },
            ttl_s: None,
        }
    }

    fn text(entry: &Entry) -> String {
        serde_json::to_string(&entry.record).unwrap()
    }

    #[test]
    fn what_is_as_it_should_be_is_no_drift() {
        let active = entry(TokenState::Active, None);
        assert_eq!(verdict(&active, Some(&text(&active)), 10), None);
    }

    #[test]
    fn a_resurrected_token_is_drift_and_a_forgotten_tombstone_is_none() {
        let (active, revoked) = (entry(TokenState::Active, None), entry(TokenState::Revoked, None));
        assert_eq!(verdict(&revoked, Some(&text(&active)), 10), Some(DriftKind::Different));
        assert_eq!(verdict(&revoked, None, 10), None);
        assert_eq!(verdict(&revoked, Some(&text(&revoked)), 10), None);
    }

    #[test]
    fn what_is_missing_or_old_or_wider_is_drift() {
        let active = entry(TokenState::Active, None);
        assert_eq!(verdict(&active, None, 10), Some(DriftKind::Missing));
        let mut wider = active.clone();
        wider.record.scopes = vec!["*".parse().unwrap()];
        assert_eq!(verdict(&active, Some(&text(&wider)), 10), Some(DriftKind::Different));
        assert_eq!(verdict(&active, Some("?"), 10), Some(DriftKind::Different));
        assert_eq!(
            verdict(&entry(TokenState::Active, Some(5)), None, 10),
            None,
            "an ended secret may be gone"
        );
        assert_eq!(
            verdict(&entry(TokenState::Active, Some(50)), None, 10),
            Some(DriftKind::Missing),
            "one in its grace may not"
        );
    }

    #[test]
    fn a_table_of_the_earlier_system_is_unknown_and_not_repaired() {
        let wanted = RouteTableV2 { v: 2, version: 1, legacy_tokens: false, routes: vec![] };
        let with = |table: &RouteTableV2| serde_json::to_string(table).unwrap();
        assert_eq!(table_verdict(&wanted, "{}"), Some(DriftKind::Unknown));
        assert_eq!(table_verdict(&wanted, &with(&wanted)), None);
        let legacy = RouteTableV2 { legacy_tokens: true, ..wanted.clone() };
        assert_eq!(table_verdict(&wanted, &with(&legacy)), None);
        assert_eq!(table_verdict(&legacy, &with(&wanted)), Some(DriftKind::Different));
        let other = RouteTableV2 { version: 2, ..wanted.clone() };
        assert_eq!(table_verdict(&wanted, &with(&other)), Some(DriftKind::Different));
    }

    #[test]
    fn positions_survive_their_text() {
        for position in [
            Position::START,
            Position::Tokens("tok_1".into()),
            Position::Routes,
            Position::Keys("a:b".into()),
        ] {
            assert_eq!(Position::parse(&position.text()), Some(position));
        }
        for text in ["", "tokens", "routes:x", "more:1"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
