//! Segments: raw calls stored many to a row, and the search through them.
//!
//! Calls are JSON by columns, which deflates to a quarter of the same calls one by one:
//! `{"calls": 2, "columns": {"at": [1763870461000, -35], "status": [200, 404], "method": "GET", …}}`. An `at` is the
//! difference to the one before it, and a value that all calls have stands once. A field that this version does not know
//! survives every move from one segment to another.
//!
//! A large segment is cut into [`blocks`], each with a head of its own: a search for the calls of a token opens
//! the blocks that have some, not all that happened meanwhile.

mod recorded;
mod search;

pub use recorded::{Recorded, Used, each};
pub use search::{Search, Statuses};

use super::UsageEvent;
use super::outcome::{Outcome, OutcomeClass};
use crate::json;
use crate::time::{HOUR_MS, UnixMs, bucket_start};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use search::{Fields, id_word, word};

/// The most calls in a segment.
pub const MAX_CALLS: usize = 20_000;
/// Calls from which a segment gets no more of them: adding writes it anew.
pub const FULL_CALLS: usize = 2_000;
/// Calls from which a segment is large, and cut into blocks.
pub const LARGE_CALLS: usize = 10_000;
/// Calls of a block.
const BLOCK_CALLS: usize = 300;

/// A raw call: the values of its JSON. Calls of one origin share the names of their fields, since an isolate has little
/// memory and a segment many calls.
#[derive(Clone, Debug)]
pub struct RawCall {
    /// In order.
    fields: Rc<[String]>,
    /// A value for each of `fields`; null if the call has none.
    values: Vec<Value>,
}

impl PartialEq for RawCall {
    fn eq(&self, other: &Self) -> bool {
        self.entries().eq(other.entries())
    }
}

impl RawCall {
    /// Makes the raw calls of events.
    pub fn all_of<'a>(events: impl IntoIterator<Item = &'a UsageEvent>) -> Vec<Self> {
        let mut known: Vec<Rc<[String]>> = Vec::new();
        let call = |event: &UsageEvent| {
            let Ok(Value::Object(mut object)) = serde_json::to_value(event) else { return None };
            // It is kept for a shorter time, in a place of its own.
            object.remove("error");
            let is_same = |fields: &&Rc<[String]>| fields.iter().eq(object.keys());
            let fields = known.iter().find(is_same).cloned().unwrap_or_else(|| {
                known.push(object.keys().cloned().collect());
                known.last().cloned().unwrap_or_default()
            });
            Some(Self { fields, values: object.into_iter().map(|(_, value)| value).collect() })
        };
        events.into_iter().filter_map(call).collect()
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        let entries = self.fields.iter().map(String::as_str).zip(&self.values);
        entries.filter(|(_, value)| !value.is_null())
    }

    /// Returns the call as this version understands it. A newer version's outcome is read as that of its status.
    pub fn event(&self) -> Option<UsageEvent> {
        let mut fields = Map::new();
        fields.extend(self.entries().map(|(name, value)| (name.to_owned(), value.clone())));
        if self.outcome().is_none() {
            fields.insert("outcome".to_owned(), Outcome::of_status(self.status()).as_str().into());
        }
        json::read(Value::Object(fields)).ok()
    }
}

/// A call as values of its JSON, wherever it is.
trait Values {
    fn get(&self, field: &str) -> Option<&Value>;
}

impl<T: Values> Fields for T {
    fn text(&self, field: &str) -> &str {
        self.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn time(&self) -> UnixMs {
        self.get("at").and_then(Value::as_i64).unwrap_or(0)
    }

    fn model(&self) -> &str {
        self.get("ai").and_then(|ai| ai.get("model")).and_then(Value::as_str).unwrap_or_default()
    }

    fn status(&self) -> u16 {
        self.get("status").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()).unwrap_or(0)
    }
}

impl Values for RawCall {
    fn get(&self, field: &str) -> Option<&Value> {
        let index = self.fields.binary_search_by(|name| name.as_str().cmp(field)).ok()?;
        self.values.get(index)
    }
}

impl RawCall {
    /// Returns its time, unix ms.
    pub fn at(&self) -> UnixMs {
        self.time()
    }

    /// Returns its position in a list: its time and id.
    pub fn position(&self) -> (UnixMs, &str) {
        (self.time(), self.text("id"))
    }

    fn outcome(&self) -> Option<Outcome> {
        self.get("outcome").and_then(|outcome| Outcome::deserialize(outcome).ok())
    }
}

/// Sorts calls as segments and lists have them, newest first.
pub fn sort(calls: &mut [RawCall]) {
    calls.sort_unstable_by(|a, b| b.position().cmp(&a.position()));
}

#[derive(Default, Serialize, Deserialize)]
struct Columns {
    calls: usize,
    /// An array each, or the value of all calls.
    columns: Map<String, Value>,
}

impl Columns {
    fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut read: Self = serde_json::from_slice(bytes)?;
        let mut before = 0;
        for at in read.columns.get_mut("at").and_then(Value::as_array_mut).into_iter().flatten() {
            before += at.as_i64().unwrap_or(0);
            *at = before.into();
        }
        Ok(read)
    }
}

/// A call among its columns.
struct Row<'a> {
    columns: &'a Columns,
    row: usize,
}

impl Values for Row<'_> {
    fn get(&self, field: &str) -> Option<&Value> {
        self.columns.columns.get(field).and_then(|column| value_in(column, self.row))
    }
}

fn value_in(column: &Value, row: usize) -> Option<&Value> {
    match column {
        Value::Array(values) => values.get(row),
        value => Some(value),
    }
}

/// Writes calls by columns.
///
/// # Errors
/// The cause, if a value has no JSON.
pub fn encode(calls: &[RawCall]) -> serde_json::Result<Vec<u8>> {
    let mut columns = Map::new();
    let mut before = 0;
    for (row, call) in calls.iter().enumerate() {
        for (field, value) in call.entries() {
            if !columns.contains_key(field) {
                columns.insert(field.to_owned(), Value::Array(Vec::new()));
            }
            let Some(column) = columns.get_mut(field).and_then(Value::as_array_mut) else { continue };
            column.resize(row, Value::Null);
            column.push(if field == "at" { (call.at() - before).into() } else { value.clone() });
        }
        before = call.at();
    }
    for (field, column) in &mut columns {
        let Some(values) = column.as_array_mut() else { continue };
        values.resize(calls.len(), Value::Null);
        let same = values
            .first()
            .filter(|first| field != "at" && !first.is_array() && values.iter().all(|value| value == *first));
        if let Some(same) = same {
            *column = same.clone();
        }
    }
    serde_json::to_vec(&Columns { calls: calls.len(), columns })
}

/// Reads calls that [`encode`] wrote.
///
/// # Errors
/// The cause, if it is not such JSON.
pub fn decode(bytes: &[u8]) -> serde_json::Result<Vec<RawCall>> {
    let read = Columns::read(bytes)?;
    let fields: Rc<[String]> = read.columns.keys().cloned().collect();
    let call = || RawCall { fields: Rc::clone(&fields), values: Vec::with_capacity(fields.len()) };
    let mut calls: Vec<RawCall> = (0..read.calls).map(|_| call()).collect();
    for (_, column) in read.columns {
        let mut column = match column {
            Value::Array(column) => column,
            value => vec![value; calls.len()],
        };
        column.resize(calls.len(), Value::Null);
        for (call, value) in calls.iter_mut().zip(column) {
            call.values.push(value);
        }
    }
    Ok(calls)
}

/// Reads those of the calls that [`encode`] wrote that are searched for.
///
/// # Errors
/// The cause, if it is not such JSON.
pub fn pick(bytes: &[u8], search: &Search) -> serde_json::Result<Vec<RawCall>> {
    let read = Columns::read(bytes)?;
    let fields: Rc<[String]> = read.columns.keys().cloned().collect();
    let values = |row| {
        let value = |column| value_in(column, row).cloned().unwrap_or_default();
        read.columns.values().map(value).collect()
    };
    let rows = (0..read.calls).filter(|row| search.finds(&Row { columns: &read, row: *row }));
    Ok(rows.map(|row| RawCall { fields: Rc::clone(&fields), values: values(row) }).collect())
}

/// Cuts the calls of a large segment, newest first, into blocks by team and token, behind a block of the newest, so that a
/// list of all calls opens that one only. Fewer calls stay together.
pub fn blocks(mut calls: Vec<RawCall>) -> Vec<Vec<RawCall>> {
    if calls.len() < LARGE_CALLS {
        return vec![calls];
    }
    let (_, others) = calls.split_at_mut(BLOCK_CALLS);
    others.sort_by(|a, b| (a.text("team"), a.text("token_id")).cmp(&(b.text("team"), b.text("token_id"))));
    let mut blocks = Vec::new();
    while !calls.is_empty() {
        let rest = calls.split_off(calls.len().min(BLOCK_CALLS));
        blocks.push(std::mem::replace(&mut calls, rest));
    }
    blocks
}

/// Returns the times of the first and the last of some calls.
pub fn times(calls: &[RawCall]) -> Option<(UnixMs, UnixMs)> {
    let times = || calls.iter().map(RawCall::at);
    Some((times().min()?, times().max()?))
}

/// Describes what is inside a segment or a block: words such as `o:ok ` and `s:2 `, each with a space before and after.
pub fn head(calls: &[RawCall]) -> String {
    let mut words = BTreeSet::new();
    for call in calls {
        words.insert(id_word('t', call.text("token_id")));
        words.insert(id_word('r', call.text("route_id")));
        words.insert(word('g', call.text("team")));
        words.insert(word('o', call.text("outcome")));
        words.insert(word('s', &(call.status() / 100).to_string()));
        words.insert(word('m', call.text("method")));
    }
    std::iter::once(" ".to_owned()).chain(words).collect()
}

/// Calls found so far, newest first.
#[derive(Debug)]
pub struct Found {
    limit: usize,
    calls: Vec<RawCall>,
}

impl Found {
    /// Makes an empty list for at most `limit` calls.
    pub fn new(limit: usize) -> Self {
        Self { limit, calls: Vec::new() }
    }

    /// Forgets the calls.
    pub fn clear(&mut self) {
        self.calls.clear();
    }

    /// Adds calls that are searched for. A call that is there already is not added again.
    pub fn add(&mut self, calls: Vec<RawCall>) {
        self.calls.extend(calls);
        sort(&mut self.calls);
        self.calls.dedup_by(|a, b| a.position() == b.position());
        self.calls.truncate(self.limit);
    }

    /// Returns whether no call up to the time `until` could still be listed.
    pub fn is_full_at(&self, until: UnixMs) -> bool {
        self.calls.len() >= self.limit && self.calls.last().is_none_or(|last| last.at() > until)
    }

    /// Returns the calls.
    pub fn into_calls(self) -> Vec<RawCall> {
        self.calls
    }
}

/// Keeps at most `most` refused calls of each token and hour, the first ones. `known` gives how many of a token are
/// kept or were left out already in the hour that begins at the given time.
pub fn bound_refused(calls: &mut Vec<RawCall>, most: u64, known: impl Fn(&str, UnixMs) -> u64) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    sort(calls);
    calls.reverse();
    calls.retain(|call| {
        let class = call.outcome().map(Outcome::class);
        if !matches!(class, Some(OutcomeClass::Denied | OutcomeClass::Limited)) {
            return true;
        }
        let hour = bucket_start(call.at(), HOUR_MS);
        let token = call.text("token_id");
        let count = seen.entry(format!("{token} {hour}")).or_insert_with(|| known(token, hour));
        *count += 1;
        *count <= most
    });
    sort(calls);
}

#[cfg(test)]
mod tests;
