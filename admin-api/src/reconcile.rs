//! Compares KV with D1: finds entries that are missing, that differ, or that D1 does not know.
//!
//! A round goes through everything in three parts, a slice at a time: the entries of all tokens in the order of their
//! ids, the route table, and the keys that KV lists. Subjects changed within [`SETTLED_MS`] are left out,
//! because KV may not show the change yet; so are subjects that the outbox has not published yet. In addition to the
//! rounds, each published subject is compared once, some minutes later ([`outbox::watched`]), when a late write shows.
//!
//! A difference is checked twice: if D1 has changed since it was found, it does not count. Unreadable records are
//! reported and skipped, so that nothing stops a round.

use crate::db::{Db, StoreError, outbox, routes, settings, to_json, tokens, upkeep};
use crate::publish::{self, Entry, KEYS_AT_ONCE, Kv, KvError, Subject, Writer, entries_of, route_table};
use contract::upkeep::{Drift, DriftKind};
use domain::access::record::{TokenRecord, TokenState};
use domain::id::TokenId;
use domain::kv::{ROUTES_KEY, RouteTableV2};
use domain::time::{HOUR_MS, MINUTE_MS, SECOND_MS, UnixMs};
use domain::token::TokenHash;
use edge::clock::now;
use edge::kv::{Entry as _, Routes, Token};
use edge::log::{Source, log};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The age from which a change should be visible: twice the minute that KV takes to show it everywhere.
const SETTLED_MS: i64 = 2 * MINUTE_MS;
/// Tokens in one slice: five bulk reads and six queries.
const SLICE: u32 = 500;
/// Keys in one slice: the most that KV lists at once.
const LISTED: u32 = 1_000;
/// Entries that a run of the cron compares: 100,000 tokens and their keys take forty runs.
const ENTRIES_A_RUN: u32 = 5_000;
/// How long a run may begin further slices.
const RUN_MS: i64 = 15 * SECOND_MS;
/// Operations that a run leaves for others.
const RESERVE: u32 = 20;
/// The most watched subjects that a run compares.
const WATCHED_A_RUN: usize = 10_000;
/// The most entries of a round for which one begins each hour: 7.2 million reads a month, of ten that are included.
const ENTRIES_AN_HOUR: u64 = 10_000;
const MAX_ROUND_HOURS: u64 = 12;
/// The most tokens that a repair publishes at once.
const REPAIRED_AT_ONCE: u32 = 200;

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
    equal: Vec<String>,
    /// Entries that D1 does not know, to be buried by a repair.
    stray: Vec<(TokenHash, TokenRecord)>,
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

async fn compare_tokens(kv: &Kv, db: &Db, ids: &[TokenId]) -> Result<Slice, ReconcileError> {
    if ids.is_empty() {
        return Ok(Slice::default());
    }
    let now = now();
    let json = to_json(ids)?;
    let pending: BTreeSet<TokenId> = outbox::pending_of(db, ids).await?.into_iter().collect();
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
        versions.keys().map(|id| (id.clone(), None)).collect();
    for chunk in wanted.chunks(KEYS_AT_ONCE) {
        let hashes: Vec<&TokenHash> = chunk.iter().map(|(_, entry)| &entry.hash).collect();
        let texts = kv.read_many::<Token>(&hashes).await?;
        for ((id, entry), text) in chunk.iter().zip(texts) {
            slice.compared += 1;
            let worst = found.entry(id.clone()).or_default();
            *worst = worst.or(verdict(entry, text.as_deref(), now));
        }
    }
    let present: BTreeMap<TokenId, u64> = tokens::versions(db, &json).await?.into_iter().collect();
    for (id, kind) in found {
        match kind {
            None => slice.equal.push(id.to_string()),
            Some(kind) if present.get(&id) == versions.get(&id) => slice.add(kind, id.to_string()),
            Some(_) => {}
        }
    }
    Ok(slice)
}

async fn compare_routes(kv: &Kv, db: &Db) -> Result<Slice, ReconcileError> {
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
    let Ok(found) = serde_json::from_str::<RouteTableV2>(text) else {
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
        if record.state == TokenState::Revoked {
            return;
        }
        // One of the earlier form waits for its import.
        if !publish::is_v1_table(text) {
            self.stray.push((hash.clone(), TokenRecord { state: TokenState::Revoked, ..record }));
        }
        self.add(DriftKind::Unknown, Token::key(hash));
    }
}

/// Repairs the findings of a slice: publishes D1's value again, and buries entries that D1 does not know. Entries
/// that wait for an import are left alone. `repaired` marks those that KV has taken by the end; the rest is in the
/// outbox.
pub async fn repair(
    writer: &Writer,
    db: &Db,
    slice: &mut Slice,
    who: Source<'_>,
) -> Result<(), ReconcileError> {
    let is_ours = |drift: &Drift| matches!(drift.kind, DriftKind::Missing | DriftKind::Different);
    let subjects = slice.drift.iter().filter(|drift| is_ours(drift)).map(|drift| drift.subject.as_str());
    let (tables, ids): (Vec<&str>, Vec<&str>) = subjects.partition(|subject| *subject == ROUTES_KEY);
    let (with_routes, ids) = (!tables.is_empty(), ids.into_iter().map(TokenId::from).collect::<Vec<_>>());
    if with_routes {
        outbox::insert_routes(db, now()).await?;
    }
    if !ids.is_empty() {
        outbox::insert_tokens(db, &ids, now()).await?;
    }
    let at_once = REPAIRED_AT_ONCE.min(writer.writes_left()) as usize;
    let first = ids.get(..at_once).unwrap_or(&ids);
    publish::publish_repair(writer, db, first, with_routes, who).await?;
    let pending: BTreeSet<TokenId> = outbox::pending_of(db, &ids).await?.into_iter().collect();
    let is_table_pending = with_routes && outbox::is_pending(db, &Subject::Routes).await?;
    for drift in slice.drift.iter_mut().filter(|drift| is_ours(drift)) {
        drift.repaired = if drift.subject == Routes::PREFIX {
            !is_table_pending
        } else {
            !pending.contains(&TokenId::from(drift.subject.as_str()))
        };
    }
    for (hash, tombstone) in &slice.stray {
        publish::bury(writer, hash, tombstone).await?;
        let key = Token::key(hash);
        if let Some(drift) = slice.drift.iter_mut().find(|drift| drift.subject == key) {
            drift.repaired = true;
        }
    }
    Ok(())
}

/// Writes the findings of a slice to the notifications, except entries that wait for an import.
pub async fn note(db: &Db, slice: &Slice) -> Result<(), StoreError> {
    let waits = |drift: &Drift| {
        drift.kind == DriftKind::Unknown
            && !slice.stray.iter().any(|(hash, _)| Token::key(hash) == drift.subject)
    };
    let drift: Vec<Drift> = slice.drift.iter().filter(|drift| !waits(drift)).cloned().collect();
    // No later comparison sees a stray entry that was buried, so resolve it now.
    let buried = drift.iter().filter(|d| d.kind == DriftKind::Unknown && d.repaired);
    let resolved: Vec<String> =
        slice.equal.iter().cloned().chain(buried.map(|d| d.subject.clone())).collect();
    if drift.is_empty() && resolved.is_empty() {
        return Ok(());
    }
    db.batch(upkeep::note_drift(db, &drift, &resolved, now())?).await?;
    Ok(())
}

/// The progress of the cron's comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The text of the next position; see [`Position::text`].
    pub next: Option<String>,
    /// The time at which the current or last round began.
    pub started_at: Option<UnixMs>,
    /// The time at which the end was last reached.
    pub completed_at: Option<UnixMs>,
    /// Entries that the current or last round has compared.
    pub compared: u64,
    /// The reason why the last run stopped early.
    pub error: Option<String>,
}

impl Progress {
    /// Returns whether there is something to compare: a round has begun, or another is due.
    fn is_due(&self, now: UnixMs) -> bool {
        let hours = self.compared.div_ceil(ENTRIES_AN_HOUR).clamp(1, MAX_ROUND_HOURS);
        let pause_ms = i64::try_from(hours).unwrap_or(1) * HOUR_MS;
        self.next.is_some() || self.started_at.is_none_or(|at| now >= at + pause_ms)
    }

    /// Returns the start of the next slice. Begins a new round if none is under way.
    fn begin(&mut self, now: UnixMs) -> Position {
        self.next.as_deref().and_then(Position::parse).unwrap_or_else(|| {
            (self.started_at, self.compared) = (Some(now), 0);
            Position::START
        })
    }

    fn advance(&mut self, compared: u32, next: Option<Position>, now: UnixMs) {
        self.compared += u64::from(compared);
        self.next = next.map(|position| position.text());
        if self.next.is_none() {
            self.completed_at = Some(now);
        }
    }
}

pub async fn progress(db: &Db) -> Result<Progress, StoreError> {
    let setting = settings::get(db, settings::RECONCILE).await?;
    Ok(setting.and_then(|s| serde_json::from_str(&s.value).ok()).unwrap_or_default())
}

/// Notes the reason why a run could not begin.
pub async fn note_failure(db: &Db, cause: &str) -> Result<(), StoreError> {
    let before = progress(db).await?;
    let progress = Progress { error: Some(cause.to_owned()), ..before.clone() };
    store(db, &progress, &before).await
}

async fn store(db: &Db, progress: &Progress, before: &Progress) -> Result<(), StoreError> {
    if progress != before {
        db.batch(vec![settings::put(db, settings::RECONCILE, &to_json(progress)?, now())?]).await?;
    }
    Ok(())
}

/// Does one run of the cron: compares subjects published some minutes ago, then slices of a round.
pub async fn run(writer: &Writer, db: &Db) -> Result<(), ReconcileError> {
    let until = now() + RUN_MS;
    writer.bound(RESERVE, until);
    let before = progress(db).await?;
    let mut progress = before.clone();
    let watched = compare_watched(writer, db, until).await;
    let compared =
        if progress.is_due(now()) { go_on(writer, db, &mut progress, until).await } else { Ok(()) };
    let result = watched.and(compared);
    progress.error = result.as_ref().err().map(ToString::to_string);
    // Store it even after a failure: the next run continues from here.
    store(db, &progress, &before).await?;
    result
}

/// Compares subjects that were published a while ago. Each stays on the watch list until it has been compared.
async fn compare_watched(writer: &Writer, db: &Db, until: UnixMs) -> Result<(), ReconcileError> {
    let mut compared = 0;
    while compared < WATCHED_A_RUN && may_go_on(writer, db, until) {
        let watched = outbox::watched(db, now(), SLICE).await?;
        if watched.is_empty() {
            break;
        }
        let ids: BTreeSet<TokenId> = watched
            .iter()
            .filter(|w| w.kind == "token")
            .map(|w| TokenId::from(w.entity_id.as_str()))
            .collect();
        let ids: Vec<TokenId> = ids.into_iter().collect();
        let mut slice = compare_tokens(&writer.kv, db, &ids).await?;
        mend(writer, db, &mut slice).await?;
        if watched.iter().any(|w| w.kind == "routes") {
            let mut slice = compare_routes(&writer.kv, db).await?;
            mend(writer, db, &mut slice).await?;
        }
        outbox::unwatch(db, &watched).await?;
        compared += watched.len();
    }
    Ok(())
}

/// Compares slices until the run has done its share or the round ends.
async fn go_on(
    writer: &Writer,
    db: &Db,
    progress: &mut Progress,
    until: UnixMs,
) -> Result<(), ReconcileError> {
    let mut position = progress.begin(now());
    let mut entries = 0;
    while entries < ENTRIES_A_RUN && may_go_on(writer, db, until) {
        let (compared, next) = match compare_and_mend(writer, db, &position).await {
            Ok(compared) => compared,
            Err(ReconcileError::Cursor) => {
                log(
                    Source::Reconcile,
                    "keys are listed from the beginning",
                    "KV does not take its cursor any more",
                );
                (0, Some(Position::Keys(String::new())))
            }
            // Another attempt would have the same result, so skip the slice.
            Err(ReconcileError::Store(StoreError::Value(cause))) => {
                let next = after(db, &position).await?;
                progress.advance(0, next, now());
                return Err(StoreError::Value(cause).into());
            }
            Err(error) => return Err(error),
        };
        entries += compared.max(1);
        progress.advance(compared, next.clone(), now());
        let Some(next) = next else { break };
        position = next;
    }
    Ok(())
}

fn may_go_on(writer: &Writer, db: &Db, until: UnixMs) -> bool {
    now() < until && writer.writes_left() > 0 && db.budget().d1_left() > RESERVE
}

async fn compare_and_mend(
    writer: &Writer,
    db: &Db,
    position: &Position,
) -> Result<(u32, Option<Position>), ReconcileError> {
    let (mut slice, next) = compare(&writer.kv, db, position).await?;
    mend(writer, db, &mut slice).await?;
    Ok((slice.compared, next))
}

/// Returns the position after a slice that cannot be compared.
async fn after(db: &Db, position: &Position) -> Result<Option<Position>, StoreError> {
    Ok(match position {
        Position::Tokens(after) => match tokens::slice(db, after, SLICE).await?.last() {
            Some(last) => Some(Position::Tokens(last.to_string())),
            None => Some(Position::Routes),
        },
        Position::Routes => Some(Position::Keys(String::new())),
        Position::Keys(_) => None,
    })
}

async fn mend(writer: &Writer, db: &Db, slice: &mut Slice) -> Result<(), ReconcileError> {
    for drift in &slice.drift {
        log(Source::Reconcile, "KV is not what D1 says", &format!("{:?} {}", drift.kind, drift.subject));
    }
    if slice.drift.iter().any(|drift| drift.kind != DriftKind::Unreadable) {
        repair(writer, db, slice, Source::Reconcile).await?;
    }
    Ok(note(db, slice).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_come_hourly_and_less_often_if_they_compare_more() {
        let after = |compared, hours: i64| {
            Progress { started_at: Some(0), compared, ..Progress::default() }.is_due(hours * HOUR_MS)
        };
        assert!(!after(100, 0) && after(100, 1) && after(10_000, 1));
        assert!(!after(100_000, 9) && after(100_000, 10));
        assert!(!after(100_000_000, 11) && after(100_000_000, 12));
        assert!(Progress::default().is_due(0));
        let begun = Progress { next: Some("routes:".into()), started_at: Some(0), ..Progress::default() };
        assert!(begun.is_due(1));
    }

    #[test]
    fn a_finished_round_begins_again_and_its_end_is_kept() {
        let mut progress = Progress::default();
        assert_eq!(progress.begin(5), Position::START);
        progress.advance(500, Some(Position::Tokens("tok_9".into())), 6);
        assert_eq!(progress.begin(7), Position::Tokens("tok_9".into()));
        progress.advance(3, None, 8);
        assert_eq!((progress.started_at, progress.completed_at, progress.compared), (Some(5), Some(8), 503));
        progress.begin(9);
        assert_eq!((progress.started_at, progress.completed_at, progress.compared), (Some(9), Some(8), 0));
    }

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
