//! Lists raw calls, newest first: those of the inbox, then segment after segment.

use super::bodies::{self, Body, bytes_of, unreadable};
use super::folding::State;
use crate::db::{StoreError, UsageDb, params, rows_of, to_json, usage_sql};
use domain::time::UnixMs;
use domain::usage::UsageEvent;
use domain::usage::segment::{Found, RawCall, Search, pick};
use edge::clock::now;
use edge::log::{Source, log};
use serde::Deserialize;
use std::cmp::Reverse;
use worker::D1Result;

/// Blocks that one request opens: 120,000 calls. A segment without blocks counts as eight.
const OPENED: usize = 400;
/// How long a list opens blocks, in ms; a file takes the time it needs.
pub const LIST_MS: i64 = 1_000;
/// Segments that a request knows of. Of one time there are few: each holds the calls of an hour or a day.
const CANDIDATES: u32 = 2_000;
/// Segments whose blocks are looked up at once: many if only some of their blocks can hold a match.
const FEW_SEGMENTS: usize = 16;
const MANY_SEGMENTS: usize = 64;
/// Blocks that are read at once.
const AT_ONCE: usize = 32;
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
    until: UnixMs,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Candidate {
    id: i64,
    until: UnixMs,
}

/// A block, or a segment without blocks, that may hold what is searched for.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: i64,
    n: Option<u32>,
    until: UnixMs,
}

impl Place {
    /// Returns how many blocks it counts as.
    fn blocks(&self) -> usize {
        if self.n.is_some() { 1 } else { 8 }
    }
}

/// Receives the calls of a search, place after place, those with the latest first.
pub trait Sink {
    /// Begins anew.
    fn clear(&mut self);

    /// Takes the calls of a place that are searched for.
    fn take(&mut self, bytes: &[u8], search: &Search) -> serde_json::Result<()>;

    /// Returns whether no call up to the time `until` is needed.
    fn is_full_at(&self, until: UnixMs) -> bool;
}

impl Sink for Found {
    fn clear(&mut self) {
        Found::clear(self);
    }

    fn take(&mut self, bytes: &[u8], search: &Search) -> serde_json::Result<()> {
        self.add(pick(bytes, search)?);
        Ok(())
    }

    fn is_full_at(&self, until: UnixMs) -> bool {
        Found::is_full_at(self, until)
    }
}

/// Bounds of a search.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Blocks that are opened.
    pub blocks: usize,
    /// How long blocks are opened, in ms.
    pub ms: i64,
}

/// Finds at most `limit` calls, for about `most_ms`. If they are that many, the last one's position is where to go on.
pub async fn find(db: &UsageDb, search: &Search, limit: usize, most_ms: i64) -> Result<Calls, StoreError> {
    let mut found = Found::new(limit);
    let next = collect(db, search, &mut found, Bounds { blocks: OPENED, ms: most_ms }).await?;
    Ok(list_of(found, next))
}

/// Hands the calls that are searched for to `sink`. Returns the time up to which there may be others, if any.
pub async fn collect(
    db: &UsageDb,
    search: &Search,
    sink: &mut dyn Sink,
    bounds: Bounds,
) -> Result<Option<UnixMs>, StoreError> {
    let bounds = Bounds { ms: now().saturating_add(bounds.ms), ..bounds };
    for tries in 1..=TRIES {
        sink.clear();
        if let Ok(next) = try_collect(db, search, sink, bounds, tries == TRIES).await? {
            return Ok(next);
        }
    }
    Err(StoreError::Unreachable("segments cannot be read".to_owned()))
}

/// A segment was replaced while it was read.
struct Gone;

/// Searches as [`collect`] does, until `bounds.ms`. A segment that is gone is left out if this is the last try.
async fn try_collect(
    db: &UsageDb,
    search: &Search,
    found: &mut dyn Sink,
    bounds: Bounds,
    is_last: bool,
) -> Result<Result<Option<UnixMs>, Gone>, StoreError> {
    let words = to_json(&search.words())?;
    let Start { version, inbox, candidates } = start(db, search, &words).await?;
    for batch in inbox {
        if !found.is_full_at(batch.until) {
            add(found, &batch.calls, search).await?;
        }
    }
    let reader = Reader { db, search, words: &words, version, is_last };
    let segments = if search.words().is_empty() { FEW_SEGMENTS } else { MANY_SEGMENTS };
    let (mut left, mut opened) = (candidates.as_slice(), 0);
    // The latest last.
    let mut places: Vec<Place> = Vec::new();
    let next = loop {
        let (segment, place) = (left.first().map(|next| next.until), places.last().map(|next| next.until));
        let next = segment.max(place);
        let Some(until) = next.filter(|until| !found.is_full_at(*until)) else { break None };
        // Beyond the bounds only what is needed so that the next request starts earlier than this one.
        let is_bounded = opened >= bounds.blocks || (opened > 0 && now() > bounds.ms);
        if is_bounded && until < search.before.0 {
            break next;
        }
        if segment > place {
            let (group, rest) = left.split_at(left.len().min(segments));
            let Some(more) = reader.places(group).await? else { return Ok(Err(Gone)) };
            places.extend(more);
            places.sort_unstable_by_key(|place| (place.until, Reverse(place.n)));
            left = rest;
            continue;
        }
        let mut weight = 0;
        let is_taken = |place: &&Place| {
            let is_first = weight == 0;
            weight += place.blocks();
            is_first || (weight <= AT_ONCE && Some(place.until) >= segment)
        };
        let group = places.split_off(places.len() - places.iter().rev().take_while(is_taken).count());
        opened += group.iter().map(Place::blocks).sum::<usize>();
        if !reader.add(found, group).await? {
            return Ok(Err(Gone));
        }
    };
    Ok(Ok(next))
}

async fn add(found: &mut dyn Sink, text: &str, search: &Search) -> Result<(), StoreError> {
    if text.is_empty() {
        return Ok(());
    }
    found.take(&bytes_of(text).await?, search).map_err(unreadable)
}

/// The beginning of a search: what is not folded yet, and the segments that may hold a match.
struct Start {
    version: i64,
    inbox: Vec<Packed>,
    candidates: Vec<Candidate>,
}

async fn start(db: &UsageDb, search: &Search, words: &str) -> Result<Start, StoreError> {
    let (from, to) = (search.from, search.before.0);
    let results = db
        .batch(vec![
            db.statement(usage_sql!("fold_state"), &[])?,
            db.statement(usage_sql!("inbox_calls"), params![from, to, words])?,
            db.statement(usage_sql!("segments_find"), params![from, to, words, CANDIDATES])?,
        ])
        .await?;
    let mut results = results.iter();
    Ok(Start {
        version: State::in_result(results.next())?.version,
        inbox: results.next().map(rows_of).transpose()?.unwrap_or_default(),
        candidates: results.next().map(rows_of).transpose()?.unwrap_or_default(),
    })
}

/// Reads segments at one version of the state.
struct Reader<'a> {
    db: &'a UsageDb,
    search: &'a Search,
    words: &'a str,
    version: i64,
    is_last: bool,
}

impl Reader<'_> {
    /// Finds the places in some segments. `None` if a fold or a merge came first, which may have moved calls.
    async fn places(&self, group: &[Candidate]) -> Result<Option<Vec<Place>>, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            segment: i64,
            n: Option<u32>,
            until: Option<UnixMs>,
        }
        let (db, search) = (self.db, self.search);
        let ids = to_json(&group.iter().map(|candidate| candidate.id).collect::<Vec<_>>())?;
        let find = params![&ids, search.from, search.before.0, self.words];
        let results = db
            .batch(vec![
                db.statement(usage_sql!("fold_state"), &[])?,
                db.statement(usage_sql!("blocks_find"), find)?,
            ])
            .await?;
        let mut results = results.iter();
        if self.is_late(results.next())? {
            return Ok(None);
        }
        let rows: Vec<Row> = results.next().map(rows_of).transpose()?.unwrap_or_default();
        let place = |row: Row| {
            let whole = group.iter().find(|candidate| candidate.id == row.segment);
            let until = row.until.or(whole.map(|segment| segment.until))?;
            Some(Place { segment: row.segment, n: row.n, until })
        };
        Ok(Some(rows.into_iter().filter_map(place).collect()))
    }

    /// Adds the calls of some places, one after the other: an isolate has little memory. Returns whether all were there.
    async fn add(&self, found: &mut dyn Sink, group: Vec<Place>) -> Result<bool, StoreError> {
        let db = self.db;
        let (blocks, whole): (Vec<Place>, Vec<Place>) = group.iter().partition(|place| place.n.is_some());
        let blocks: Vec<(i64, Option<u32>)> = blocks.iter().map(|place| (place.segment, place.n)).collect();
        let whole: Vec<i64> = whole.iter().map(|place| place.segment).collect();
        let results = db
            .batch(vec![
                db.statement(usage_sql!("fold_state"), &[])?,
                db.statement(usage_sql!("blocks_read"), params![&to_json(&blocks)?])?,
                db.statement(usage_sql!("segments_read"), params![&to_json(&whole)?])?,
            ])
            .await?;
        let mut results = results.iter();
        if self.is_late(results.next())? {
            return Ok(false);
        }
        let mut bodies: Vec<Body> = Vec::new();
        for result in results {
            bodies.extend(rows_of::<Body>(result)?);
        }
        let mut is_whole = true;
        for place in group.iter().rev() {
            if found.is_full_at(place.until) {
                break;
            }
            let index = bodies.iter().position(|body| (body.id, body.n) == (place.segment, place.n));
            let text = match index {
                Some(index) => bodies::text_of(db, bodies.swap_remove(index)).await?,
                None => None,
            };
            match text {
                Some(text) => add(found, &text, self.search).await?,
                None => is_whole = false,
            }
        }
        if !is_whole {
            log(Source::Isolate, "raw calls left out", "they are gone");
        }
        Ok(is_whole || self.is_last)
    }

    /// Returns whether a fold or a merge came first, unless that does not matter any more.
    fn is_late(&self, state: Option<&D1Result>) -> Result<bool, StoreError> {
        Ok(State::in_result(state)?.version != self.version && !self.is_last)
    }
}

/// Lists what was found, down to the last call of the `next` place that was not opened: behind it there may be others.
fn list_of(found: Found, next: Option<UnixMs>) -> Calls {
    let is_full = next.is_none() && found.is_full_at(UnixMs::MIN);
    let mut calls = found.into_calls();
    let further = if let Some(until) = next {
        calls.retain(|call| call.at() > until);
        Some((until, LAST_ID.to_owned()))
    } else {
        calls.last().filter(|_| is_full).map(|last| (last.at(), last.position().1.to_owned()))
    };
    Calls { calls: calls.iter().filter_map(RawCall::event).collect(), further }
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
        let mut found = Found::new(limit);
        found.add(calls(&[9, 7, 5, 3]));
        let next = next_until.filter(|until| !found.is_full_at(*until));
        let Calls { calls, further } = list_of(found, next);
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
