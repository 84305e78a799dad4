//! Compares KV with D1: finds entries that are missing, that differ, or that D1 does not know.
//!
//! A round goes through everything in three parts, a slice at a time: the entries of all tokens in the order of their
//! ids, the route table, and the keys that KV lists. Subjects changed within two minutes are left out,
//! because KV may not show the change yet; so are subjects that the outbox has not published yet. In addition to the
//! rounds, each published subject is compared once, some minutes later ([`outbox::watched`]), when a late write shows.
//!
//! A difference is checked twice: if D1 has changed since it was found, it does not count. Unreadable records are
//! reported and skipped, so that nothing stops a round.

mod compare;
mod repair;

pub use compare::{Position, ReconcileError, compare};
pub use repair::{note, repair};

use crate::db::{Db, StoreError, outbox, settings, to_json, tokens};
use crate::publish::Writer;
use compare::{SLICE, Slice, compare_routes, compare_tokens};
use contract::upkeep::DriftKind;
use domain::collect;
use domain::id::TokenId;
use domain::json;
use domain::time::{HOUR_MS, SECOND_MS, UnixMs};
use edge::clock::now;
use edge::log::{Source, log};
use serde::{Deserialize, Serialize};

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
    Ok(setting.and_then(|s| json::from_text(&s.value).ok()).unwrap_or_default())
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
        let watched_tokens = watched.iter().filter(|w| w.kind == "token");
        let ids = collect::set(watched_tokens.map(|w| TokenId::from(w.entity_id.as_str())));
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
}
