//! The object's side: everything that is kept, in the order in which it came.

use super::{
    Append, Changes, FED_MS, Glance, Held, KEPT_MS, MOST_BYTES, MOST_KEPT, Placed, Poll, RESPONSE_BYTES,
    Table, Value,
};
use crate::time::UnixMs;
use crate::token::TokenHash;
use std::collections::{HashMap, VecDeque};

/// The most bytes of a part of a table's text: a row holds two megabytes.
const PART_BYTES: usize = 1_000_000;

/// A value that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    at: UnixMs,
    placed: Placed,
}

/// The feed as its object holds it. Of a token or a table only the newest value is kept.
#[derive(Clone, Debug)]
pub struct Feed {
    seq: u64,
    floor: u64,
    tokens: HashMap<TokenHash, Kept>,
    /// The bytes of the tokens' texts together.
    bytes: usize,
    /// Tokens by place. A token that has changed since is still in its earlier places, too.
    order: VecDeque<(u64, TokenHash)>,
    tables: Vec<(Table, Kept)>,
    /// The last time at which an admin API told it something. It is not saved: the next word makes it known again.
    fed_at: Option<UnixMs>,
}

/// A row to be saved, in place of an earlier one of the same subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A token's value.
    Token(TokenHash, UnixMs, Placed),
    /// A table's value.
    Table(Table, UnixMs, Placed),
}

/// A part of a table's text, which alone may be too long for a row.
pub type Part = String;

impl Row {
    /// Splits a text into parts that fit into a row. There is at least one.
    pub fn parts(text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = text;
        while rest.len() > PART_BYTES {
            let (part, after) = rest.split_at(rest.floor_char_boundary(PART_BYTES));
            parts.push(part.to_owned());
            rest = after;
        }
        parts.push(rest.to_owned());
        parts
    }
}

impl Feed {
    /// Makes an empty feed. Its places begin at the time, so that those of a lost one are not known to it.
    pub fn new(now: UnixMs) -> Self {
        let seq = u64::try_from(now).unwrap_or(0);
        let (tokens, bytes, order, tables, fed_at) = Default::default();
        Self { seq, floor: seq, tokens, bytes, order, tables, fed_at }
    }

    /// Returns the feed with these rows, which were saved at this place and floor.
    pub fn restored(seq: u64, floor: u64, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut feed = Self { seq, floor, ..Self::new(0) };
        for row in rows {
            match row {
                Row::Token(hash, at, placed) => feed.keep(hash, Kept { at, placed }),
                Row::Table(table, at, placed) => feed.keep_table(table, Kept { at, placed }),
            }
        }
        feed
    }

    /// The place of the last value.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The place up to which nothing is kept any more.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    fn keep(&mut self, hash: TokenHash, kept: Kept) {
        let place = self.order.partition_point(|(seq, _)| *seq < kept.placed.seq);
        self.order.insert(place, (kept.placed.seq, hash.clone()));
        self.bytes += kept.placed.text.len();
        if let Some(before) = self.tokens.insert(hash, kept) {
            self.bytes -= before.placed.text.len();
        }
    }

    fn let_go(&mut self, hash: &TokenHash) {
        if let Some(kept) = self.tokens.remove(hash) {
            self.bytes -= kept.placed.text.len();
        }
    }

    fn keep_table(&mut self, table: Table, kept: Kept) {
        self.tables.retain(|(known, _)| *known != table);
        self.tables.push((table, kept));
    }

    fn table(&self, table: Table) -> Option<&Kept> {
        self.tables.iter().find(|(known, _)| *known == table).map(|(_, kept)| kept)
    }

    /// Returns the token at a place, unless it has changed since.
    fn at(&self, seq: u64, hash: &TokenHash) -> Option<&Kept> {
        self.tokens.get(hash).filter(|kept| kept.placed.seq == seq)
    }

    /// Appends values. Returns the rows to be saved: a value that is held already, or in a newer version, makes none.
    pub fn append(&mut self, append: Append, now: UnixMs) -> Vec<Row> {
        self.fed_at = Some(now);
        let mut rows = Vec::new();
        for (hash, value) in append.tokens {
            if is_news(self.tokens.get(&hash), &value) {
                let placed = self.place(value);
                rows.push(Row::Token(hash.clone(), now, placed.clone()));
                self.keep(hash, Kept { at: now, placed });
            }
        }
        for (table, value) in append.tables {
            if is_news(self.table(table), &value) {
                let placed = self.place(value);
                rows.push(Row::Table(table, now, placed.clone()));
                self.keep_table(table, Kept { at: now, placed });
            }
        }
        rows
    }

    fn place(&mut self, value: Value) -> Placed {
        self.seq = self.seq.saturating_add(1);
        Placed { seq: self.seq, version: value.version, text: value.text }
    }

    /// Lets go of values that are too old or too many. Returns whether there were such tokens: saved rows up to the
    /// floor can be deleted.
    pub fn prune(&mut self, now: UnixMs) -> bool {
        let before = self.floor;
        let is_old = |kept: &Kept| now.saturating_sub(kept.at) >= KEPT_MS;
        // KV shows it by now. Kept for ever, it would outrank the tables of a D1 that is made anew.
        self.tables.retain(|(_, kept)| !is_old(kept));
        while let Some((seq, hash)) = self.order.front() {
            let kept = self.at(*seq, hash);
            let is_old = kept.is_none_or(is_old);
            if !is_old && self.tokens.len() <= MOST_KEPT && self.bytes <= MOST_BYTES {
                break;
            }
            let is_current = kept.is_some();
            let Some((seq, hash)) = self.order.pop_front() else { break };
            if is_current {
                self.floor = seq;
                self.let_go(&hash);
            }
        }
        self.floor != before
    }

    /// Returns the tokens after some place in their order, as many as fit into a response; at least one.
    fn after(&self, since: Option<u64>) -> Vec<(TokenHash, Placed)> {
        let first = since.map_or(0, |since| self.order.partition_point(|(seq, _)| *seq <= since));
        let current =
            self.order.iter().skip(first).filter_map(|(seq, hash)| Some((hash, self.at(*seq, hash)?)));
        let mut bytes = 0;
        current
            .take_while(|(_, kept)| {
                let has_room = bytes < RESPONSE_BYTES;
                bytes += kept.placed.text.len();
                has_room
            })
            .map(|(hash, kept)| (hash.clone(), kept.placed.clone()))
            .collect()
    }

    /// Answers a poll.
    pub fn poll(&self, poll: &Poll, now: UnixMs) -> Changes {
        let since = poll.since.filter(|since| (self.floor..=self.seq).contains(since));
        let tokens = self.after(since);
        let last = tokens.last().map_or(self.seq, |(_, placed)| placed.seq);
        let has_more = self.order.back().is_some_and(|(newest, _)| *newest > last);
        let held = |table: Table| poll.tables.iter().find(|(held, _)| *held == table).map_or(0, |(_, v)| *v);
        let is_due = |kept: &Kept| since.is_none_or(|since| kept.placed.seq > since);
        let tables =
            self.tables.iter().filter(|(table, kept)| is_due(kept) && kept.placed.version > held(*table));
        Changes {
            seq: if has_more { last } else { self.seq },
            has_more,
            floor: self.floor,
            start_over: since.is_none(),
            is_fed: self.fed_at.is_some_and(|at| now.saturating_sub(at) < FED_MS),
            tokens,
            tables: tables.map(|(table, kept)| (*table, kept.placed.clone())).collect(),
        }
    }

    /// Returns what is held of some subjects. Only admin APIs ask, so there is one.
    pub fn glance(&mut self, at: &Glance, now: UnixMs) -> Held {
        self.fed_at = Some(now);
        let value = |kept: &Kept| Value { version: kept.placed.version, text: kept.placed.text.clone() };
        let token = |hash: &TokenHash| Some((hash.clone(), value(self.tokens.get(hash)?)));
        let table = |table: &Table| Some((*table, value(self.table(*table)?)));
        Held {
            tokens: at.tokens.iter().filter_map(token).collect(),
            tables: at.tables.iter().filter_map(table).collect(),
        }
    }
}

/// Whether a value replaces what is kept. One of the same version does if it is another: a repair's.
fn is_news(kept: Option<&Kept>, value: &Value) -> bool {
    kept.is_none_or(|kept| {
        let known = &kept.placed;
        value.version > known.version || (value.version == known.version && value.text != known.text)
    })
}
