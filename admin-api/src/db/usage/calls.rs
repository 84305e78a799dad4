//! Lists raw calls, newest first: those of the inbox, then segment after segment.

use super::folding::unpacked;
use crate::db::{StoreError, UsageDb, params, rows_of, to_json, usage_sql};
use domain::time::UnixMs;
use domain::usage::UsageEvent;
use domain::usage::segment::{Found, RawCall, Search};
use serde::Deserialize;
use std::collections::HashMap;

/// Segments that one request opens. With 20,000 calls each that is a million calls.
const OPENED: usize = 50;
/// Segments that are read at once.
const AT_ONCE: usize = 4;
/// Searches from the start, if segments are merged while they are read.
const TRIES: usize = 3;
/// Follows every id in a cursor.
const LAST_ID: &str = "\u{7f}";

/// Calls that were found, and the position from which the search is to go on if calls are left.
#[derive(Debug)]
pub struct Calls {
    pub calls: Vec<UsageEvent>,
    /// Time and id before which nothing was searched.
    pub further: Option<(UnixMs, String)>,
}

#[derive(Debug, Deserialize)]
struct Candidate {
    id: i64,
    until: UnixMs,
}

/// Finds at most `limit` calls. If they are that many, the last one's position is where to go on.
pub async fn find(db: &UsageDb, search: &Search, limit: usize) -> Result<Calls, StoreError> {
    let mut found = None;
    for _ in 0..TRIES {
        found = try_find(db, search, limit).await?;
        if found.is_some() {
            break;
        }
    }
    found.ok_or_else(|| StoreError::Unreachable("segments were merged while they were read".to_owned()))
}

/// As [`find`]; `None` if a segment was merged meanwhile.
async fn try_find(db: &UsageDb, search: &Search, limit: usize) -> Result<Option<Calls>, StoreError> {
    let words = to_json(&search.words())?;
    let most = u32::try_from(OPENED + 1).unwrap_or(u32::MAX);
    let results = db
        .batch(vec![
            db.statement(usage_sql!("inbox_calls"), params![search.from, search.before.0])?,
            db.statement(usage_sql!("segments_find"), params![search.from, search.before.0, &words, most])?,
        ])
        .await?;
    #[derive(Deserialize)]
    struct Packed {
        calls: String,
    }
    let mut results = results.iter();
    let inbox: Vec<Packed> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let candidates: Vec<Candidate> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let mut found = Found::new(limit);
    for batch in inbox {
        found.add(search, unpacked(&batch.calls).await?);
    }
    let mut next = candidates.iter();
    let mut opened = 0;
    loop {
        let group: Vec<&Candidate> = next.clone().take(AT_ONCE.min(OPENED - opened)).collect();
        let Some(first) = group.first() else { break };
        if found.is_full_at(first.until) {
            break;
        }
        let Some(bodies) = read(db, &group).await? else { return Ok(None) };
        for (candidate, calls) in group.iter().zip(bodies) {
            if found.is_full_at(candidate.until) {
                break;
            }
            found.add(search, calls);
        }
        opened += group.len();
        next = candidates.get(opened..).unwrap_or_default().iter();
    }
    let is_full = found.is_full_at(UnixMs::MIN);
    let calls = found.into_calls();
    let further = if is_full {
        calls.last().map(|last| (last.at(), last.position().1.to_owned()))
    } else {
        next.next().map(|candidate| (candidate.until, LAST_ID.to_owned()))
    };
    Ok(Some(Calls { calls: calls.iter().filter_map(RawCall::event).collect(), further }))
}

/// Reads the calls of some segments, in their order; `None` if one is gone.
async fn read(db: &UsageDb, group: &[&Candidate]) -> Result<Option<Vec<Vec<RawCall>>>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: i64,
        body: String,
    }
    let ids: Vec<i64> = group.iter().map(|candidate| candidate.id).collect();
    let rows: Vec<Row> = db.rows(db.statement(usage_sql!("segments_read"), params![&to_json(&ids)?])?).await?;
    let bodies: HashMap<i64, String> = rows.into_iter().map(|row| (row.id, row.body)).collect();
    let mut read = Vec::new();
    for id in ids {
        let Some(body) = bodies.get(&id) else { return Ok(None) };
        read.push(unpacked(body).await?);
    }
    Ok(Some(read))
}
