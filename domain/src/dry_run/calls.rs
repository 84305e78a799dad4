//! Calls of the past, as many as there are, in little room.

use super::texts::Texts;
use crate::id::TokenId;
use crate::time::UnixMs;
use crate::usage::segment::{Recorded, Used};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// About the most bytes that a dry run takes, so that an isolate has room for it even if each call has a path of its own.
const MOST_ROOM: usize = 48 * 1_024 * 1_024;
/// The bytes that a dry run takes for each text beside its characters, for each call, and for each case: its number, the
/// decisions about it, the workflow that it may become. Measured by `domain/tests/dry_run_memory.rs`.
const ROOM_OF_TEXT: usize = 80;
const ROOM_OF_CALL: usize = 48;
const ROOM_OF_CASE: usize = 250;
/// The longest id that is kept, in bytes.
const MOST_ID: usize = 255;

/// Everything about a call that decides, by the number of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Case {
    pub token: u32,
    pub method: u32,
    pub path: u32,
    pub client_ip: u32,
    pub user_agent: u32,
    pub is_socket: bool,
    pub is_derived: bool,
}

/// The use of a metered call; the sums of a call stay below 2^32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub tokens: Option<u32>,
    pub micros: Option<u32>,
}

impl From<Used> for Spent {
    fn from(used: Used) -> Self {
        let tokens = used.prompt_tokens.zip(used.completion_tokens);
        let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            tokens: tokens.map(|(prompt, completion)| clamp(prompt.saturating_add(completion))),
            micros: used.cost_micros.map(clamp),
        }
    }
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub at: UnixMs,
    pub case: u32,
    /// The place of its ids, and the length of each.
    ids: (u32, u8, u8),
    pub was_let_in: bool,
    pub bytes_in: u32,
    pub used: Option<Spent>,
}

/// Calls that were taken in.
#[derive(Debug)]
pub struct Calls {
    most: usize,
    texts: Texts,
    cases: Vec<Case>,
    by_case: HashMap<Case, u32>,
    rows: Vec<Row>,
    ids: String,
    /// Whether calls were left out, since too many tokens made them.
    is_cut: bool,
}

impl Calls {
    /// Makes room for the newest `most` calls.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            texts: Texts::default(),
            cases: Vec::new(),
            by_case: HashMap::new(),
            rows: Vec::new(),
            ids: String::new(),
            is_cut: false,
        }
    }

    /// Takes a call in.
    pub fn add(&mut self, call: &Recorded) {
        let case = Case {
            token: self.texts.number(call.token),
            method: self.texts.number(call.method),
            path: self.texts.number(call.path),
            client_ip: self.texts.number(call.client_ip),
            user_agent: self.texts.number(call.user_agent),
            is_socket: call.status == 101,
            is_derived: !call.derived.is_empty(),
        };
        let next = u32::try_from(self.cases.len()).unwrap_or(u32::MAX);
        let number = *self.by_case.entry(case).or_insert(next);
        if number == next {
            self.cases.push(case);
        }
        let place = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let mut keep = |id: &str| {
            let id = id.get(..id.floor_char_boundary(MOST_ID)).unwrap_or_default();
            self.ids.push_str(id);
            u8::try_from(id.len()).unwrap_or(u8::MAX)
        };
        self.rows.push(Row {
            at: call.at,
            case: number,
            ids: (place, keep(call.id), keep(call.request_id)),
            was_let_in: call.was_let_in(),
            bytes_in: call.bytes_in.map_or(0, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX)),
            used: call.ai.map(Spent::from),
        });
    }

    fn room(&self) -> usize {
        self.texts.bytes()
            + self.texts.count() * ROOM_OF_TEXT
            + self.ids.len()
            + self.rows.len() * ROOM_OF_CALL
            + self.cases.len() * ROOM_OF_CASE
    }

    /// Whether no call up to the time `until` is needed, or none has room.
    pub fn is_full_at(&self, until: UnixMs) -> bool {
        let newer = || self.rows.iter().filter(|row| row.at > until).count();
        self.room() > MOST_ROOM || (self.rows.len() >= self.most && newer() >= self.most)
    }

    /// Keeps the newest calls, as far back as at most `most` tokens made them, and returns these tokens.
    pub fn tokens(&mut self, most: usize) -> Vec<TokenId> {
        self.rows.sort_unstable_by_key(|row| Reverse(row.at));
        let mut known = HashSet::new();
        let mut has_room = |row: &Row| {
            let token = self.cases.get(row.case as usize).map(|case| case.token);
            known.contains(&token) || (known.len() < most && known.insert(token))
        };
        let kept = self.rows.iter().take_while(|row| has_room(row)).count();
        self.is_cut |= kept < self.rows.len();
        self.rows.truncate(kept);
        known.into_iter().flatten().map(|number| TokenId::from(self.texts.get(number))).collect()
    }

    /// Sorts the calls, oldest first, and keeps the newest. Returns whether none had to be left out.
    pub(super) fn keep_newest(&mut self, unread: Option<UnixMs>) -> bool {
        if let Some(until) = unread {
            self.rows.retain(|row| row.at > until);
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| (a.at, self.ids_of(a).0).cmp(&(b.at, self.ids_of(b).0)));
        // A call that is moved while segments are read may be found twice.
        rows.dedup_by(|a, b| (a.at, self.ids_of(a).0) == (b.at, self.ids_of(b).0));
        let surplus = rows.len().saturating_sub(self.most);
        self.rows = rows.split_off(surplus);
        unread.is_none() && surplus == 0 && !self.is_cut
    }

    /// Returns the id of a call and its request id.
    pub(super) fn ids_of(&self, row: &Row) -> (&str, &str) {
        let (place, id, request) = row.ids;
        let text = self.ids.get(place as usize..).unwrap_or_default();
        let (id, rest) = text.split_at_checked(id.into()).unwrap_or_default();
        (id, rest.get(..request.into()).unwrap_or_default())
    }

    /// Returns the calls.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns the distinct cases, by their numbers.
    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Returns the text of a number.
    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number)
    }
}
