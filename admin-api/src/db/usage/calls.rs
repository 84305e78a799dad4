//! Lists raw calls, newest first: those of the inbox, then segment after segment.

use super::bodies::{self, Body, unpacked};
use super::folding::State;
use crate::db::{StoreError, UsageDb, params, rows_of, to_json, usage_sql};
use domain::time::UnixMs;
use domain::usage::UsageEvent;
use domain::usage::segment::{Found, RawCall, Search};
use edge::clock::now;
use edge::log::{Source, log};
use serde::Deserialize;

/// Segments that one request opens. With 20,000 calls each that is a million calls.
const OPENED: usize = 50;
/// How long a list opens segments, in ms; a file takes the time it needs.
pub const LIST_MS: i64 = 1_000;
/// Segments that a request knows of. Of one time there are few: each holds the calls of an hour or a day.
const CANDIDATES: u32 = 2_000;
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

/// Calls of the inbox.
#[derive(Debug, Deserialize)]
struct Packed {
    calls: String,
}

#[derive(Debug, Deserialize)]
struct Candidate {
    id: i64,
    until: UnixMs,
}

/// Finds at most `limit` calls, for about `most_ms`. If they are that many, the last one's position is where to go on.
pub async fn find(db: &UsageDb, search: &Search, limit: usize, most_ms: i64) -> Result<Calls, StoreError> {
    let end = now().saturating_add(most_ms);
    for _ in 1..TRIES {
        if let Some(found) = try_find(db, search, limit, end, false).await? {
            return Ok(found);
        }
    }
    let found = try_find(db, search, limit, end, true).await?;
    found.ok_or_else(|| StoreError::Unreachable("segments cannot be read".to_owned()))
}

/// Searches as [`find`] does. Returns `None` if a segment is gone, unless `is_last`: then it is left out.
async fn try_find(
    db: &UsageDb,
    search: &Search,
    limit: usize,
    end: UnixMs,
    is_last: bool,
) -> Result<Option<Calls>, StoreError> {
    let words = to_json(&search.words())?;
    let results = db
        .batch(vec![
            db.statement(usage_sql!("fold_state"), &[])?,
            db.statement(usage_sql!("inbox_calls"), params![search.from, search.before.0])?,
            db.statement(
                usage_sql!("segments_find"),
                params![search.from, search.before.0, &words, CANDIDATES],
            )?,
        ])
        .await?;
    let mut results = results.iter();
    let version = State::in_result(results.next())?.version;
    let inbox: Vec<Packed> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let candidates: Vec<Candidate> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let mut found = Found::new(limit);
    for batch in inbox {
        found.add(search, unpacked(&batch.calls).await?);
    }
    let mut left = candidates.as_slice();
    let mut opened = 0;
    loop {
        // Beyond the bounds only what is needed so that the next request starts earlier than this one.
        let is_bounded = opened >= OPENED || (opened > 0 && now() > end);
        let may_open = |candidate: &&Candidate| !is_bounded || candidate.until >= search.before.0;
        let group: Vec<&Candidate> = left.iter().take(AT_ONCE).take_while(may_open).collect();
        let Some(first) = group.first() else { break };
        if found.is_full_at(first.until) {
            break;
        }
        let bodies = read(db, &group).await?;
        let is_same = |body: &Option<Body>| body.as_ref().is_none_or(|body| body.version == version);
        // A fold may have moved calls between segments since they were listed.
        if !is_last && !bodies.iter().all(is_same) {
            return Ok(None);
        }
        if !add(db, search, &mut found, bodies).await? && !is_last {
            return Ok(None);
        }
        opened += group.len();
        left = left.get(group.len()..).unwrap_or_default();
    }
    Ok(Some(list_of(found, left.first())))
}

/// Adds the calls of bodies, one after the other: an isolate has room for few segments. Returns whether none is gone.
async fn add(
    db: &UsageDb,
    search: &Search,
    found: &mut Found,
    bodies: Vec<Option<Body>>,
) -> Result<bool, StoreError> {
    let mut is_whole = true;
    for body in bodies {
        let calls = match body {
            Some(body) => bodies::read(db, &body).await?,
            None => None,
        };
        match calls {
            Some(calls) => found.add(search, calls),
            None => is_whole = false,
        }
    }
    if !is_whole {
        log(Source::Isolate, "segments left out", "they are gone");
    }
    Ok(is_whole)
}

/// Lists what was found, down to the next segment that was not opened: behind its last call there may be others.
fn list_of(found: Found, next: Option<&Candidate>) -> Calls {
    let is_cut = next.filter(|next| !found.is_full_at(next.until));
    let is_full = is_cut.is_none() && found.is_full_at(UnixMs::MIN);
    let mut calls = found.into_calls();
    let further = if let Some(next) = is_cut {
        calls.retain(|call| call.at() > next.until);
        Some((next.until, LAST_ID.to_owned()))
    } else {
        calls.last().filter(|_| is_full).map(|last| (last.at(), last.position().1.to_owned()))
    };
    Calls { calls: calls.iter().filter_map(RawCall::event).collect(), further }
}

/// Reads the bodies of some segments, in their order; `None` for one that is gone.
async fn read(db: &UsageDb, group: &[&Candidate]) -> Result<Vec<Option<Body>>, StoreError> {
    let ids: Vec<i64> = group.iter().map(|candidate| candidate.id).collect();
    let statement = db.statement(usage_sql!("segments_read"), params![&to_json(&ids)?])?;
    let mut bodies: Vec<Body> = db.rows(statement).await?;
    let mut take = |id: &i64| {
        let index = bodies.iter().position(|body| body.id == *id)?;
        Some(bodies.swap_remove(index))
    };
    Ok(ids.iter().map(&mut take).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::usage::segment::decode;

    fn calls(times: &[UnixMs]) -> Vec<RawCall> {
        let ids: Vec<String> = times.iter().map(|at| format!("\"c{at}\"")).collect();
        let mut calls = Vec::new();
        for (at, id) in times.iter().zip(&ids) {
            let text = format!(
                r#"{{"calls":1,"columns":{{"id":[{id}],"at":[{at}],"token_id":["t"],"team":["x"],"path":["/"],"method":["GET"],"status":[200],"outcome":["ok"],"latency_ms":[1],"gateway_ms":[1],"request_id":["r"]}}}}"#
            );
            calls.extend(decode(text.as_bytes()).unwrap());
        }
        calls
    }

    fn listed(limit: usize, next_until: Option<UnixMs>) -> (Vec<UnixMs>, Option<(UnixMs, String)>) {
        let search = Search { before: (100, String::new()), ..Search::default() };
        let mut found = Found::new(limit);
        found.add(&search, calls(&[9, 7, 5, 3]));
        let next = next_until.map(|until| Candidate { id: 1, until });
        let Calls { calls, further } = list_of(found, next.as_ref());
        (calls.iter().map(|call| call.at).collect(), further)
    }

    #[test]
    fn a_search_that_stops_lists_nothing_behind_which_calls_may_be_missing() {
        assert_eq!(listed(9, None), (vec![9, 7, 5, 3], None));
        assert_eq!(listed(9, Some(6)), (vec![9, 7], Some((6, LAST_ID.to_owned()))));
        assert_eq!(listed(2, Some(6)), (vec![9, 7], Some((7, "c7".to_owned()))));
        assert_eq!(listed(3, Some(6)), (vec![9, 7], Some((6, LAST_ID.to_owned()))));
        assert_eq!(listed(4, None), (vec![9, 7, 5, 3], Some((3, "c3".to_owned()))));
    }
}
