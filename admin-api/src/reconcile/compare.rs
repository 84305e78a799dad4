//! The comparison of one slice: the entries of some tokens, the route table, or a page of KV's keys. What the change
//! feed still holds of them is compared too.

use crate::db::{Db, StoreError, outbox, routes, to_json, tokens};
use crate::publish::{
    self, Entry, KEYS_AT_ONCE, Kv, KvError, PublishError, Subject, entries_of, route_table,
};
use contract::upkeep::{Drift, DriftKind};
use domain::access::record::{TokenRecord, TokenState};
use domain::canary::is_canary;
use domain::collect;
use domain::feed::{Glance, Table as FeedTable};
use domain::id::TokenId;
use domain::json;
use domain::kv::{ROUTES_KEY, RouteTableV2};
use domain::time::{MINUTE_MS, UnixMs};
use domain::token::TokenHash;
use edge::clock::now;
use edge::kv::{Entry as _, Routes, Token};
use edge::log::{Source, log};
use serde::Serialize;
use std::collections::BTreeMap;

/// The age from which a change should be visible: twice the minute that KV takes to show it everywhere.
const SETTLED_MS: i64 = 2 * MINUTE_MS;
/// Tokens in one slice: five bulk reads and six queries.
pub const SLICE: u32 = 500;
/// Keys in one slice: the most that KV lists at once.
const LISTED: u32 = 1_000;

/// A position of the comparison, at which a slice begins.
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

/// The findings of one slice.
#[derive(Debug, Default)]
pub struct Slice {
    pub compared: u32,
    pub drift: Vec<Drift>,
    /// Subjects that were compared and found equal.
    pub equal: Vec<String>,
    /// Entries that D1 does not know, to be buried by a repair.
    pub stray: Vec<(TokenHash, TokenRecord)>,
}

impl Slice {
    fn add(&mut self, kind: DriftKind, subject: String) {
        self.drift.push(Drift { kind, subject, repaired: false });
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A repair has failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// KV no longer accepts its own cursor.
    #[error("KV: the cursor is no longer valid")]
    Cursor,
}

/// Compares one slice. Returns its findings and the position of the next slice; `None` at the end.
pub async fn compare(
    kv: &Kv,
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
            Ok((compare_tokens(kv, db, &ids).await?, Some(next)))
        }
        Position::Routes => Ok((compare_routes(kv, db).await?, Some(Position::Keys(String::new())))),
        Position::Keys(cursor) => compare_keys(kv, db, cursor).await,
    }
}

/// Compares the text in KV with the entry that D1 requires. Returns `None` if they agree.
fn verdict(entry: &Entry, text: Option<&str>, now: UnixMs) -> Option<DriftKind> {
    let Some(text) = text else {
        let has_ended = entry.record.secret_ends_at.is_some_and(|end| end <= now);
        // A tombstone expires after a day, and so does the entry of an expired secret.
        let may_be_gone = entry.record.state == TokenState::Revoked || has_ended;
        return (!may_be_gone).then_some(DriftKind::Missing);
    };
    let is_equal = match domain::kv::read_token(text, &entry.hash) {
        // A tombstone refuses, so its other fields do not matter.
        Ok(found) if entry.record.state == TokenState::Revoked => found.state == TokenState::Revoked,
        Ok(found) => found == entry.record,
        Err(_) => is_json_of(&entry.record, text),
    };
    (!is_equal).then_some(DriftKind::Different)
}

/// Returns whether `text` is the value that this Worker would write. It may contain parts on which only a newer
/// version can act: this version refuses such a token or route, but still publishes it.
fn is_json_of<T: Serialize>(wanted: &T, text: &str) -> bool {
    let found = serde_json::from_str::<serde_json::Value>(text);
    found.is_ok_and(|found| serde_json::to_value(wanted).is_ok_and(|wanted| found == wanted))
}

pub async fn compare_tokens(kv: &Kv, db: &Db, ids: &[TokenId]) -> Result<Slice, ReconcileError> {
    if ids.is_empty() {
        return Ok(Slice::default());
    }
    let now = now();
    let json = to_json(ids)?;
    let pending = collect::set(outbox::pending_of(db, ids).await?);
    let mut slice = Slice::default();
    let mut versions = BTreeMap::new();
    let mut wanted = Vec::new();
    for (id, token) in tokens::published(db, &json, now).await? {
        let is_settled = token.as_ref().map_or(true, |token| token.updated_at < now - SETTLED_MS);
        if !is_settled || pending.contains(&id) {
            continue;
        }
        match token.and_then(|token| Ok((token.version, entries_of(&token, now)?))) {
            Ok((version, entries)) => {
                versions.insert(id.clone(), version);
                wanted.extend(entries.into_iter().map(|entry| (id.clone(), entry)));
            }
            Err(error) => {
                log(Source::Reconcile, "token cannot be read", &format!("{id}: {error}"));
                slice.add(DriftKind::Unreadable, id.to_string());
            }
        }
    }
    // A token without entries is equal too, such as one whose secrets have all expired.
    let mut found: BTreeMap<TokenId, Option<DriftKind>> =
        collect::map(versions.keys().map(|id| (id.clone(), None)));
    let tokens = wanted.iter().map(|(_, entry)| entry.hash.clone()).collect();
    let held = kv.feed.glance(Glance { tokens, tables: vec![] }, Source::Reconcile).await;
    let held: BTreeMap<&str, &str> =
        held.tokens.iter().map(|(hash, value)| (hash.as_str(), value.text.as_str())).collect();
    for chunk in wanted.chunks(KEYS_AT_ONCE) {
        let hashes: Vec<&TokenHash> = chunk.iter().map(|(_, entry)| &entry.hash).collect();
        let texts = kv.read_many::<Token>(&hashes).await?;
        for ((id, entry), text) in chunk.iter().zip(texts) {
            slice.compared += 1;
            let worst = found.entry(id.clone()).or_default();
            // The feed forgets: what it does not hold any more is KV's alone.
            let told = held.get(entry.hash.as_str());
            let told = told.and_then(|text| verdict(entry, Some(text), now));
            *worst = worst.or(verdict(entry, text.as_deref(), now)).or(told);
        }
    }
    let present = collect::map(tokens::versions(db, &json).await?);
    for (id, kind) in found {
        match kind {
            None => slice.equal.push(id.to_string()),
            Some(kind) if present.get(&id) == versions.get(&id) => slice.add(kind, id.to_string()),
            Some(_) => {}
        }
    }
    Ok(slice)
}

pub async fn compare_routes(kv: &Kv, db: &Db) -> Result<Slice, ReconcileError> {
    let is_settled = routes::table_changed_at(db).await?.is_none_or(|at| at < now() - SETTLED_MS);
    if !is_settled || outbox::is_pending(db, &Subject::Routes).await? {
        return Ok(Slice::default());
    }
    let wanted = route_table(db, now(), Source::Reconcile).await?;
    let text = kv.read::<Routes>(&()).await?;
    let kind = match text.as_deref() {
        None if wanted.routes.is_empty() => None,
        None => Some(DriftKind::Missing),
        Some(text) => table_verdict(&wanted, text),
    };
    let glance = Glance { tokens: vec![], tables: vec![FeedTable::Routes] };
    let held = kv.feed.glance(glance, Source::Reconcile).await;
    let told = held.tables.first().and_then(|(_, value)| table_verdict(&wanted, &value.text));
    let kind = kind.or(told);
    let subject = ROUTES_KEY.to_owned();
    let mut slice = Slice { compared: 1, ..Slice::default() };
    match kind {
        None => slice.equal.push(subject),
        Some(kind) if routes::table_version(db, now()).await? == Some(wanted.version) => {
            slice.add(kind, subject);
        }
        Some(_) => {}
    }
    Ok(slice)
}

fn table_verdict(wanted: &RouteTableV2, text: &str) -> Option<DriftKind> {
    if publish::is_v1_table(text) {
        return Some(DriftKind::Unknown);
    }
    let Ok(found) = json::from_text::<RouteTableV2>(text) else {
        return (!is_json_of(wanted, text)).then_some(DriftKind::Different);
    };
    // The flag changes with time alone once no token of the earlier form is left. A stale one costs at most a lookup.
    let legacy_tokens = found.legacy_tokens || wanted.legacy_tokens;
    let is_equal = found == RouteTableV2 { legacy_tokens, ..wanted.clone() };
    (!is_equal).then_some(DriftKind::Different)
}

async fn compare_keys(kv: &Kv, db: &Db, cursor: &str) -> Result<(Slice, Option<Position>), ReconcileError> {
    let page = match kv.list::<Token>(cursor, LISTED.into()).await {
        Ok(page) => page,
        // If KV can list from the beginning, the cursor is the problem.
        Err(_) if !cursor.is_empty() && kv.list::<Token>("", 1).await.is_ok() => {
            return Err(ReconcileError::Cursor);
        }
        Err(error) => return Err(error.into()),
    };
    let hash_of = |name: &str| name.strip_prefix(Token::PREFIX)?.parse::<TokenHash>().ok();
    let hashes: Vec<TokenHash> = page.keys.iter().filter_map(|key| hash_of(&key.name)).collect();
    let mut slice = Slice { compared: u32::try_from(hashes.len()).unwrap_or(u32::MAX), ..Slice::default() };
    for unknown in tokens::unknown_secrets(db, &hashes).await?.chunks(KEYS_AT_ONCE) {
        let texts = kv.read_many::<Token>(&unknown.iter().collect::<Vec<_>>()).await?;
        for (hash, text) in unknown.iter().zip(texts) {
            slice.take_stray(hash, text.as_deref());
        }
    }
    let next = page.cursor.filter(|_| !page.list_complete).map(Position::Keys);
    Ok((slice, next))
}

impl Slice {
    /// Judges an entry that D1 does not know.
    fn take_stray(&mut self, hash: &TokenHash, text: Option<&str>) {
        // An unreadable entry grants nothing.
        let Some((text, Ok(record))) = text.map(|text| (text, domain::kv::read_token(text, hash))) else {
            return;
        };
        // The canary's earlier secrets are known to nobody, and open nothing.
        if record.state == TokenState::Revoked || is_canary(&record) {
            return;
        }
        // One of the earlier form waits for its import.
        if !publish::is_v1_table(text) {
            // A newer version, so that it also replaces what isolates hold.
            let version = record.version.saturating_add(1);
            let tombstone = TokenRecord { state: TokenState::Revoked, version, ..record };
            self.stray.push((hash.clone(), tombstone));
        }
        self.add(DriftKind::Unknown, Token::key(hash));
    }
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
                team_budget: domain::limit::Limits::default(),
                zone: domain::limit::ledger::Zone::default(),
                inject_faults: false,
                may_derive: false,
                version: 7,
            },
            ttl_s: None,
        }
    }

    fn text(entry: &Entry) -> String {
        serde_json::to_string(&entry.record).unwrap()
    }

    #[test]
    fn an_equal_entry_is_no_drift() {
        let active = entry(TokenState::Active, None);
        assert_eq!(verdict(&active, Some(&text(&active)), 10), None);
    }

    #[test]
    fn a_resurrected_token_is_drift_and_an_expired_tombstone_is_not() {
        let (active, revoked) = (entry(TokenState::Active, None), entry(TokenState::Revoked, None));
        assert_eq!(verdict(&revoked, Some(&text(&active)), 10), Some(DriftKind::Different));
        assert_eq!(verdict(&revoked, None, 10), None);
        assert_eq!(verdict(&revoked, Some(&text(&revoked)), 10), None);
    }

    #[test]
    fn a_missing_old_or_wider_entry_is_drift() {
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
    fn a_token_that_only_a_newer_version_understands_is_no_drift_once_kv_holds_it() {
        let mut newer = entry(TokenState::Active, None);
        newer.record.limits =
            serde_json::from_value(serde_json::json!({"hours": "9-17", "critical": ["hours"]})).unwrap();
        assert!(domain::kv::read_token(&text(&newer), &newer.hash).is_err(), "this version refuses it");
        assert_eq!(verdict(&newer, Some(&text(&newer)), 10), None);
        let other = text(&newer).replace("9-17", "0-24");
        assert_eq!(verdict(&newer, Some(&other), 10), Some(DriftKind::Different));
        assert_eq!(verdict(&entry(TokenState::Active, None), Some(&other), 10), Some(DriftKind::Different));
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
