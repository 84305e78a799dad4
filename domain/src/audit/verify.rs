//! The check of an exported audit log. It needs nothing but the file, and a head that was kept elsewhere.
//!
//! A file that agrees with itself may still have been chained again from the first change on, or cut at its end. Only a
//! head that its owner could not rewrite shows that.

mod order;

use super::chain::{Entry, EntryHash, Head, NotAHash};
use super::export::{Columns, Line, Read};
use crate::problem::AuditFinding;
use crate::time::UnixMs;
use csv::{ReaderBuilder, StringRecord};
use order::{Row, first_break, has_loose};
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
    /// The place before the oldest entry. Only a file of the whole log has it, and only there is a missing entry a
    /// finding: an export with a filter is a part.
    pub start: Option<Head>,
    /// Time of the oldest entry.
    pub oldest_at: Option<UnixMs>,
    /// The newest chained entry.
    pub newest: Option<Head>,
    /// The worth of the file, or the first sign that the log is not as it was written.
    pub result: Result<Proof, AuditFinding>,
}

/// The worth of a file without a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The given head is in the file: from the start up to it, everything is as it was written.
    UpToHead,
    /// No head was given: the file agrees with itself.
    Alone,
    /// The file is a part: each entry agrees with its own hash.
    Entries,
    /// The given head is not in the file.
    HeadAbsent,
    /// The given head is the place before the oldest entry, so it proves none of them.
    HeadAtStart,
    /// Entries from before the start are not connected with it, because retention cut some between while the file was
    /// written, or because they are forged.
    Loose,
}

impl Proof {
    /// Returns whether the check has come as far as it could with what was given.
    pub const fn is_enough(self) -> bool {
        matches!(self, Self::UpToHead | Self::Alone | Self::Entries)
    }
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
        let (seq, id, at) = (entry.seq, entry.id.as_str().into(), entry.at);
        let wrong = (!is_right && self.wrong < WRONG_KEPT).then(|| Box::new(entry));
        self.wrong += usize::from(!is_right);
        self.rows.push(Row { seq, id, at, line, previous, hash, is_right, wrong });
    }

    /// Ends the file.
    pub fn finish(mut self, published: Option<Published>) -> Report {
        let rest = std::mem::take(&mut self.waiting);
        self.read(&rest);
        self.rows.sort_by_key(|row| (row.seq, row.line));
        let newest = self.rows.iter().rev().find_map(|row| Some(row.head(row.hash?)));
        Report {
            entries: self.rows.len(),
            unchained: self.rows.iter().filter(|row| row.hash.is_none()).count(),
            oldest_at: self.rows.first().map(|row| row.at),
            result: self.conclude(published, newest.as_ref()),
            start: self.start,
            newest,
        }
    }

    fn conclude(&self, published: Option<Published>, newest: Option<&Head>) -> Result<Proof, AuditFinding> {
        let found = self.finding.clone().or_else(|| first_break(&self.rows, self.start.as_ref(), newest));
        if let Some(finding) = found {
            return Err(finding);
        }
        if self.head.is_none() && !self.is_cut_short {
            return Err(AuditFinding::BrokeOff);
        }
        let given = published.map(|head| self.look_for(head, newest)).transpose()?;
        if let Some(own) = &self.head {
            self.look_for(Published { seq: Some(own.seq), hash: own.hash }, newest)?;
        }
        Ok(match (given, &self.start) {
            (_, Some(start)) if has_loose(&self.rows, start) => Proof::Loose,
            (None, Some(_)) => Proof::Alone,
            (None | Some(Proof::UpToHead), None) => Proof::Entries,
            (Some(given), _) => given,
        })
    }

    /// Looks for a head among the entries; `Err` if it should be there and is not.
    fn look_for(&self, head: Published, newest: Option<&Head>) -> Result<Proof, AuditFinding> {
        let is_named = |seq: u64| head.seq.is_none_or(|named| named == seq);
        if self.rows.iter().any(|row| row.hash == Some(head.hash) && is_named(row.seq)) {
            return Ok(Proof::UpToHead);
        }
        let rewritten = |seq: u64, id: &str| Err(AuditFinding::Rewritten { seq, id: id.to_owned() });
        if let Some(row) = self.rows.iter().find(|row| Some(row.seq) == head.seq && row.hash.is_some()) {
            return rewritten(row.seq, &row.id);
        }
        let Some(start) = &self.start else { return Ok(Proof::HeadAbsent) };
        if start.hash == head.hash && is_named(start.seq) {
            return Ok(Proof::HeadAtStart);
        }
        let last = newest.map_or(start.seq, |newest| newest.seq);
        match head.seq {
            None => Err(AuditFinding::HeadMissing),
            Some(seq) if seq > last => Err(AuditFinding::EndCut { last, head: seq }),
            Some(seq) if seq > 0 && seq == start.seq => rewritten(seq, &start.id),
            // Retention has cut it.
            Some(_) => Ok(Proof::HeadAbsent),
        }
    }
}

#[cfg(test)]
mod tests;
