//! Finds the first place at which the chain is broken, and says how.

use super::{Entry, EntryHash, Head};
use crate::problem::AuditFinding;
use crate::time::UnixMs;

/// An entry whose own hash has been checked.
#[derive(Debug)]
pub(super) struct Row {
    pub seq: u64,
    pub id: Box<str>,
    pub at: UnixMs,
    /// The line in the file.
    pub line: u64,
    pub previous: Option<EntryHash>,
    pub hash: Option<EntryHash>,
    /// Whether the hash is that of the entry after `previous`.
    pub is_right: bool,
    /// The entry, if its hash is wrong.
    pub wrong: Option<Box<Entry>>,
}

impl Row {
    pub fn head(&self, hash: EntryHash) -> Head {
        Head { seq: self.seq, id: self.id.to_string(), hash }
    }

    fn changed(&self) -> AuditFinding {
        AuditFinding::Changed { seq: self.seq, id: self.id.to_string(), line: self.line }
    }

    fn inserted(&self) -> AuditFinding {
        AuditFinding::Inserted { seq: self.seq, id: self.id.to_string(), line: self.line }
    }

    fn swapped_with(&self, other: &Self) -> AuditFinding {
        let (id, other_id) = (self.id.to_string(), other.id.to_string());
        AuditFinding::Swapped { seq: self.seq, id, other: other.seq, other_id }
    }

    /// Returns whether this row's entry belongs to the place of `other`.
    fn fits(&self, other: &Self) -> bool {
        let moved = self.wrong.as_ref().map(|entry| Entry { seq: other.seq, ..(**entry).clone() });
        let hash = moved.zip(other.previous).map(|(entry, previous)| entry.hash_after(previous));
        hash.is_some() && hash == other.hash
    }
}

/// The place before a row.
#[derive(Clone, Copy)]
struct Before<'a> {
    seq: u64,
    hash: EntryHash,
    /// `None` before the oldest entry.
    row: Option<&'a Row>,
}

/// Finds the first break in rows that are in the order of their numbers. `start` is the place before the oldest entry
/// of a whole file; without it, gaps are no break.
pub(super) fn first_break(rows: &[Row], start: Option<&Head>, newest: Option<&Head>) -> Option<AuditFinding> {
    let is_false = |start: &&Head| {
        (start.seq == 0) != (start.hash == EntryHash::GENESIS)
            || newest.is_some_and(|newest| start.seq > newest.seq)
    };
    if let Some(start) = start.filter(is_false) {
        return Some(AuditFinding::FalseStart { seq: start.seq });
    }
    let chained = rows.iter().rposition(|row| row.hash.is_some()).map_or(0, |last| last + 1);
    let front = start.map(|start| Before { seq: start.seq, hash: start.hash, row: None });
    let mut last: Option<Before> = None;
    for (i, row) in rows.iter().take(chained).enumerate() {
        let after = rows.get(i + 1).filter(|_| i + 1 < chained);
        let is_between = |front: &Before| front.seq < row.seq && last.is_none_or(|last| last.seq < front.seq);
        let before = front.filter(is_between).or(last);
        if let Some(finding) = look_at(row, before, after, rows, start) {
            return Some(finding);
        }
        last = row.hash.map(|hash| Before { seq: row.seq, hash, row: Some(row) });
    }
    None
}

/// Returns whether entries from before the start are not connected with it. Retention cuts by numbers and a file is
/// read by times, so entries between them may be gone.
pub(super) fn has_loose(rows: &[Row], start: &Head) -> bool {
    let old = rows.iter().take_while(|row| row.seq <= start.seq);
    rows.first().is_some_and(|first| {
        first.seq <= start.seq && u64::try_from(old.count()).is_ok_and(|count| count <= start.seq - first.seq)
    })
}

fn look_at(
    row: &Row,
    before: Option<Before>,
    after: Option<&Row>,
    rows: &[Row],
    start: Option<&Head>,
) -> Option<AuditFinding> {
    // Two entries for one place, by their numbers or by the hash that they follow.
    let is_twin =
        |after: &&Row| after.seq == row.seq || after.previous.is_some() && after.previous == row.previous;
    if let Some(twin) = after.filter(is_twin) {
        // The one that another entry follows is the one that was there.
        let is_followed = |row: &Row| row.hash.is_some() && rows.iter().any(|next| next.previous == row.hash);
        let is_first_own = row.is_right && (is_followed(row) || !is_followed(twin));
        return Some(if is_first_own { twin.inserted() } else { row.inserted() });
    }
    if let Some(before) = before {
        let is_gap = row.seq > before.seq + 1;
        // What is missing up to the start, retention has cut while the file was written.
        if is_gap && start.is_some_and(|start| start.seq < row.seq) {
            let (first, last) = (before.seq + 1, row.seq - 1);
            return Some(if first == last {
                AuditFinding::Removed { seq: first }
            } else {
                AuditFinding::RemovedMany { first, last }
            });
        }
        if !is_gap && row.hash.is_some() && row.previous != Some(before.hash) {
            return Some(explain(row, before, rows));
        }
    }
    if start.is_some_and(|start| start.seq == row.seq && Some(start.hash) != row.hash) {
        return Some(AuditFinding::Rewritten { seq: row.seq, id: row.id.to_string() });
    }
    if row.hash.is_none() {
        return Some(row.changed());
    }
    if row.is_right {
        return None;
    }
    let partner = rows.iter().find(|other| other.seq != row.seq && row.fits(other) && other.fits(row));
    Some(partner.map_or_else(|| row.changed(), |other| row.swapped_with(other)))
}

/// Explains why a row does not follow the place before it.
fn explain(row: &Row, before: Before, rows: &[Row]) -> AuditFinding {
    let is_in_place = row.wrong.as_ref().is_some_and(|entry| Some(entry.hash_after(before.hash)) == row.hash);
    if is_in_place {
        return row.changed();
    }
    if let Some(other) = rows.iter().find(|other| other.previous == Some(before.hash)) {
        return row.swapped_with(other);
    }
    match before.row {
        // The entry before has a hash that fits it, but not the one that this entry was chained to.
        Some(changed) if row.is_right => changed.changed(),
        _ => AuditFinding::RemovedBefore { seq: row.seq, id: row.id.to_string(), line: row.line },
    }
}
