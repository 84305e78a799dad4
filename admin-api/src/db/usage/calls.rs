//! Lists raw calls, newest first: those of the inbox, then segment after segment.

use super::bodies::{self, Body};
use super::folding::unpacked;
use crate::db::{StoreError, UsageDb, params, rows_of, to_json, usage_sql};
use domain::time::UnixMs;
use domain::usage::UsageEvent;
use domain::usage::segment::{Found, RawCall, Search};
use edge::log::{Source, log};
use serde::Deserialize;
use std::collections::HashMap;

/// Segments that one request opens. With 20,000 calls each that is a million calls.
const OPENED: usize = 50;
/// Segments that are read at once.
const AT_ONCE: usize = 4;
/// Searches from the start, if segments are replaced while they are read.
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
    for _ in 1..TRIES {
        if let Some(found) = try_find(db, search, limit, false).await? {
            return Ok(found);
        }
    }
    let found = try_find(db, search, limit, true).await?;
    found.ok_or_else(|| StoreError::Unreachable("segments cannot be read".to_owned()))
}

/// As [`find`]; `None` if a segment is gone, unless `is_last`: then it is left out.
async fn try_find(
    db: &UsageDb,
    search: &Search,
    limit: usize,
    is_last: bool,
) -> Result<Option<Calls>, StoreError> {
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
        for (candidate, calls) in group.iter().zip(read(db, &group).await?) {
            if found.is_full_at(candidate.until) {
                break;
            }
            match calls {
                Some(calls) => found.add(search, calls),
                None if is_last => log(Source::Isolate, "segment left out", &candidate.id.to_string()),
                None => return Ok(None),
            }
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

/// Reads the calls of some segments, in their order; `None` for one that is gone.
async fn read(db: &UsageDb, group: &[&Candidate]) -> Result<Vec<Option<Vec<RawCall>>>, StoreError> {
    let ids: Vec<i64> = group.iter().map(|candidate| candidate.id).collect();
    let rows: Vec<Body> =
        db.rows(db.statement(usage_sql!("segments_read"), params![&to_json(&ids)?])?).await?;
    let bodies: HashMap<i64, Body> = rows.into_iter().map(|body| (body.id, body)).collect();
    let mut read = Vec::new();
    for id in ids {
        read.push(match bodies.get(&id) {
            Some(body) => bodies::read(db, body).await?,
            None => None,
        });
    }
    Ok(read)
}
