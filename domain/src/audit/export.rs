//! The exported file: comma-separated values with an entry a line, then the head of the chain and, if the file is
//! whole, the position before its oldest entry.

use super::chain::{Entry, EntryHash, Head, read_snapshot};
use crate::csv::{push_row, unguarded};
use crate::time::{parse_v1, to_rfc3339};
use csv::StringRecord;
use serde_json::Value;

/// The columns, in their order.
pub const COLUMNS: [&str; 16] = [
    "time",
    "id",
    "actor",
    "actor_name",
    "action",
    "result",
    "entity",
    "entity_id",
    "team_id",
    "before",
    "after",
    "client_ip",
    "request_id",
    "seq",
    "previous_hash",
    "hash",
];

/// The last lines have these words for a time.
const HEAD: &str = "head";
const START: &str = "start";
/// The line of a file that does not hold everything begins with this.
const NOT_ALL: &str = "not all";

/// One entry with its place in the chain. Both hashes are `None` until the cron has chained it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The entry.
    pub entry: Entry,
    /// Hash of the entry before.
    pub previous: Option<EntryHash>,
    /// Hash of this entry.
    pub hash: Option<EntryHash>,
}

impl Line {
    /// Appends the line. The actor's name is shown, but is no part of the chain.
    pub fn push(&self, out: &mut String, actor_name: &str) {
        let Entry { entity_id, team_id, client_ip, .. } = &self.entry;
        let json = |value: &Option<Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
        let hash = |hash: Option<EntryHash>| hash.map(|hash| hash.to_string()).unwrap_or_default();
        let (before, after, seq) =
            (json(&self.entry.before), json(&self.entry.after), self.entry.seq.to_string());
        let (previous, own) = (hash(self.previous), hash(self.hash));
        let time = to_rfc3339(self.entry.at).unwrap_or_default();
        let cells: [&str; COLUMNS.len()] = [
            &time,
            &self.entry.id,
            &self.entry.actor,
            actor_name,
            &self.entry.action,
            &self.entry.result,
            &self.entry.entity,
            entity_id.as_deref().unwrap_or_default(),
            team_id.as_deref().unwrap_or_default(),
            &before,
            &after,
            client_ip.as_deref().unwrap_or_default(),
            &self.entry.request_id,
            &seq,
            &previous,
            &own,
        ];
        push_row(out, cells);
    }
}

/// Appends the last lines: the head when the export began, and the position before the oldest entry of a whole file.
pub fn push_end(out: &mut String, head: &Head, start: Option<&Head>) {
    for (word, place) in [(HEAD, Some(head)), (START, start)] {
        let Some(place) = place else { continue };
        let (seq, hash) = (place.seq.to_string(), place.hash.to_string());
        let cell = |column: &str| match column {
            "time" => word,
            "id" => place.id.as_str(),
            "seq" => seq.as_str(),
            "hash" => hash.as_str(),
            _ => "",
        };
        push_row(out, COLUMNS.map(cell));
    }
}

/// The meaning of one line.
#[derive(Debug)]
pub(super) enum Read {
    Entry(Box<Line>),
    Head(Head),
    Start(Head),
    NotAll,
}

/// The position of each column in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns([usize; COLUMNS.len()]);

impl Columns {
    /// Finds the columns in the first line. `Err` names one that is missing.
    pub fn find(first: &StringRecord) -> Result<Self, &'static str> {
        let mut found = [0; COLUMNS.len()];
        for (at, name) in found.iter_mut().zip(COLUMNS) {
            *at = first.iter().position(|cell| cell.trim_start_matches('\u{feff}') == name).ok_or(name)?;
        }
        Ok(Self(found))
    }

    /// Reads a line; `None` if it is none of an export.
    pub fn read(&self, record: &StringRecord) -> Option<Read> {
        if record.get(0)?.starts_with(NOT_ALL) {
            return Some(Read::NotAll);
        }
        let cell = |at: &usize| record.get(*at).map(|cell| unguarded(cell).into_owned()).unwrap_or_default();
        let [
            time,
            id,
            actor,
            _,
            action,
            result,
            entity,
            entity_id,
            team_id,
            before,
            after,
            client_ip,
            request_id,
            seq,
            previous,
            hash,
        ] = self.0.each_ref().map(cell);
        let seq = seq.parse().ok()?;
        let place = |hash: &str| Some(Head { seq, id: id.clone(), hash: hash.parse().ok()? });
        match time.as_str() {
            HEAD => return place(&hash).map(Read::Head),
            START => return place(&hash).map(Read::Start),
            _ => {}
        }
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let entry = Entry {
            seq,
            id: id.clone(),
            // No entry has a time that cannot be read, so its hash will not fit.
            at: parse_v1(&time).unwrap_or(i64::MIN),
            actor,
            action,
            result,
            entity,
            entity_id: some(entity_id),
            team_id: some(team_id),
            before: some(before).map(read_snapshot),
            after: some(after).map(read_snapshot),
            client_ip: some(client_ip),
            request_id,
        };
        // A hash that cannot be read counts as none, and the entry as changed.
        let (previous, hash) = (previous.parse().ok(), hash.parse().ok());
        Some(Read::Entry(Box::new(Line { entry, previous, hash })))
    }
}
