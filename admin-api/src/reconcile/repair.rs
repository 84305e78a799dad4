//! The repair of a slice, and its note in the notifications.

use super::compare::{ReconcileError, Slice};
use crate::db::{Db, StoreError, outbox, upkeep};
use crate::publish::{self, Subject, Writer};
use contract::upkeep::{Drift, DriftKind};
use domain::collect;
use domain::id::TokenId;
use domain::kv::ROUTES_KEY;
use edge::clock::now;
use edge::kv::{Entry as _, Routes, Token};
use edge::log::Source;

/// The most tokens that a repair publishes at once.
const REPAIRED_AT_ONCE: u32 = 200;

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
    let pending = collect::set(outbox::pending_of(db, &ids).await?);
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
