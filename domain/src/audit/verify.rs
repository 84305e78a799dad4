//! The check of an exported audit log. It needs nothing but the file, and a head that was kept elsewhere.
//!
//! A file that agrees with itself may still have been chained again from the first change on, or cut at its end. Only a
//! head that its owner could not rewrite shows that.

mod order;

use super::chain::{Entry, EntryHash, Head, NotAHash};
use super::export::{Columns, Line, Read};
use crate::problem::AuditFinding;
use csv::{ReaderBuilder, StringRecord};
use order::{Row, first_break};
use std::str::FromStr;

/// A head that was kept elsewhere: the hash alone, or `<number>:<hash>`, as logs and the health report show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Number of the entry, if it is known.
    pub seq: Option<u64>,
    /// Hash of the entry.
    pub hash: EntryHash,
}

impl FromStr for Published {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let text = text.trim();
        let Some((seq, hash)) = text.split_once(':') else {
            return Ok(Self { seq: None, hash: text.parse()? });
        };
        Ok(Self { seq: Some(seq.parse().map_err(|_| NotAHash)?), hash: hash.parse()? })
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Entries in the file.
    pub entries: usize,
    /// The newest of them, which the cron had not chained yet.
    pub unchained: usize,
    /// Whether the file holds the whole log, so that a missing entry is a finding. An export with a filter is a part.
    pub is_whole: bool,
    /// The newest chained entry.
    pub newest: Option<Head>,
    /// Whether the given head is in the file. If not, and without a finding, the file is a part that leaves it out, or
    /// the head is older than the oldest entry.
    pub is_head_found: bool,
    /// The first sign that the log is not as it was written.
    pub finding: Option<AuditFinding>,
}

/// Entries with a wrong hash that are kept, to tell a swap from a change.
const WRONG_KEPT: usize = 1_000;

/// Checks a file piece by piece.
#[derive(Debug, Default)]
pub struct Verifier {
    /// The begin of a line whose end has not come yet.
    waiting: Vec<u8>,
    is_quoted: bool,
    lines: u64,
    columns: Option<Columns>,
    rows: Vec<Row>,
    wrong: usize,
    head: Option<Head>,
    start: Option<Head>,
    is_cut_short: bool,
    finding: Option<AuditFinding>,
}

impl Verifier {
    /// Takes the next piece of the file.
    pub fn push(&mut self, piece: &[u8]) {
        let before = self.waiting.len();
        let mut end = 0;
        for (i, byte) in piece.iter().enumerate() {
            match byte {
                b'"' => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => end = before + i + 1,
                _ => {}
            }
        }
        self.waiting.extend_from_slice(piece);
        let rest = self.waiting.split_off(end);
        let lines = std::mem::replace(&mut self.waiting, rest);
        self.read(&lines);
    }

    /// Reads complete lines. A line is a row of the table, whatever line breaks its cells have.
    fn read(&mut self, lines: &[u8]) {
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(lines);
        let mut record = StringRecord::new();
        loop {
            let is_read = reader.read_record(&mut record);
            if matches!(is_read, Ok(false)) {
                return;
            }
            self.lines += 1;
            match is_read {
                Ok(_) => self.take(&record, self.lines),
                Err(_) => self.find(AuditFinding::Unreadable { line: self.lines }),
            }
        }
    }

    fn find(&mut self, finding: AuditFinding) {
        self.finding.get_or_insert(finding);
    }

    fn take(&mut self, record: &StringRecord, line: u64) {
        let Some(columns) = self.columns else {
            match Columns::find(record) {
                Ok(columns) => self.columns = Some(columns),
                Err(column) => self.find(AuditFinding::NotAnExport { column: column.to_owned() }),
            }
            return;
        };
        match columns.read(record) {
            Some(Read::Entry(entry)) => self.take_entry(*entry, line),
            Some(Read::Head(head)) => self.head = Some(head),
            Some(Read::Start(start)) => self.start = Some(start),
            Some(Read::NotAll) => self.is_cut_short = true,
            None => self.find(AuditFinding::Unreadable { line }),
        }
    }

    fn take_entry(&mut self, Line { entry, previous, hash }: Line, line: u64) {
        let is_right =
            hash.is_none() || previous.is_some_and(|previous| Some(entry.hash_after(previous)) == hash);
        let (seq, id) = (entry.seq, entry.id.as_str().into());
        let wrong = (!is_right && self.wrong < WRONG_KEPT).then(|| Box::new(entry));
        self.wrong += usize::from(!is_right);
        self.rows.push(Row { seq, id, line, previous, hash, is_right, wrong });
    }

    /// Ends the file.
    pub fn finish(mut self, published: Option<Published>) -> Report {
        let rest = std::mem::take(&mut self.waiting);
        self.read(&rest);
        self.rows.sort_by_key(|row| (row.seq, row.line));
        let is_whole = self.start.is_some();
        let newest = self.rows.iter().rev().find_map(|row| Some(row.head(row.hash?)));
        let mut report = Report {
            entries: self.rows.len(),
            unchained: self.rows.iter().filter(|row| row.hash.is_none()).count(),
            is_whole,
            newest,
            is_head_found: false,
            finding: self.finding.take(),
        };
        if report.finding.is_none() {
            report.finding = first_break(&self.rows, self.start.as_ref());
        }
        if report.finding.is_none() && self.head.is_none() && !self.is_cut_short {
            report.finding = Some(AuditFinding::BrokeOff);
        }
        let own = self.head.as_ref().map(|head| Published { seq: Some(head.seq), hash: head.hash });
        for (head, is_own) in [(published, false), (own, true)] {
            let Some(head) = head else { continue };
            match self.look_for(head, report.newest.as_ref()) {
                Ok(is_found) => report.is_head_found |= is_found && !is_own,
                Err(finding) => _ = report.finding.get_or_insert(finding),
            }
        }
        report
    }

    /// Looks for a head among the entries. Returns whether it is there; `Err` if it should be and is not.
    fn look_for(&self, head: Published, newest: Option<&Head>) -> Result<bool, AuditFinding> {
        let start = self.start.as_ref();
        if start.is_some_and(|start| start.hash == head.hash)
            || self
                .rows
                .iter()
                .any(|row| row.hash == Some(head.hash) && head.seq.is_none_or(|seq| seq == row.seq))
        {
            return Ok(true);
        }
        let other = self.rows.iter().find(|row| Some(row.seq) == head.seq && row.hash.is_some());
        if let Some(row) = other {
            return Err(AuditFinding::Rewritten { seq: row.seq, id: row.id.to_string() });
        }
        let Some(start) = start else { return Ok(false) };
        let last = newest.map_or(start.seq, |newest| newest.seq);
        match head.seq {
            None => Err(AuditFinding::HeadMissing),
            Some(seq) if seq > last => Err(AuditFinding::EndCut { last, head: seq }),
            // Retention has cut it.
            Some(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests;
