//! Streams taken apart into the JSON of their events: server-sent events and Amazon's frames.

use super::members::members;
use crate::encoding::from_base64;

/// A piece of an event's JSON, or its end.
pub enum Part<'a> {
    Data(&'a [u8]),
    End,
}

/// Server-sent events (WHATWG HTML, section 9.2.6), of which the data matters alone: a byte order mark
/// may come first, lines end with LF, CR or both, and a blank one ends the event.
#[derive(Debug, Default)]
pub struct Events {
    line: Line,
    /// The last byte was a CR, whose LF may follow.
    after_cr: bool,
    /// Bytes of the byte order mark that have been seen; past it once anything else has come.
    mark: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// The bytes of `data:` that have been seen.
    Name(usize),
    Data,
    /// Another field, or a comment.
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Name(0)
    }
}

const DATA: &[u8] = b"data:";
/// The byte order mark in UTF-8.
pub const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Events {
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Part)) {
        let mut rest = chunk;
        while let Some(first) = rest.first() {
            if MARK.get(self.mark) == Some(first) {
                self.mark += 1;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            self.mark = MARK.len();
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let is_end = |b: &u8| matches!(b, b'\n' | b'\r');
            if is_end(first) {
                match self.line {
                    Line::Name(0) => each(Part::End),
                    // Lines of one event are joined by a line break.
                    Line::Data => each(Part::Data(b"\n")),
                    Line::Name(_) | Line::Other => {}
                }
                self.line = Line::Name(0);
                self.after_cr = *first == b'\r';
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            match self.line {
                Line::Name(seen) => {
                    self.line = match DATA.get(seen) {
                        Some(wanted) if wanted == first && seen + 1 == DATA.len() => Line::Data,
                        Some(wanted) if wanted == first => Line::Name(seen + 1),
                        _ => Line::Other,
                    };
                    rest = rest.get(1..).unwrap_or_default();
                }
                Line::Data | Line::Other => {
                    let length = rest.iter().position(is_end).unwrap_or(rest.len());
                    let (line, after) = rest.split_at(length);
                    if self.line == Line::Data {
                        each(Part::Data(line));
                    }
                    rest = after;
                }
            }
        }
    }
}

/// The longest frame that is held, in bytes; a longer one is passed over.
const MAX_FRAME: usize = 256 << 10;
/// Total length, length of the headers, checksum.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// Frames of `application/vnd.amazon.eventstream`, as Bedrock streams. A frame's payload is an event's
/// JSON, or holds it as base64 in `bytes`.
#[derive(Debug, Default)]
pub struct Frames {
    frame: Vec<u8>,
    /// Bytes of a frame that is too long, still to come.
    to_skip: usize,
}

impl Frames {
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Part)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.to_skip > 0 {
                let (skipped, after) = rest.split_at(self.to_skip.min(rest.len()));
                self.to_skip -= skipped.len();
                rest = after;
                continue;
            }
            let length = self.length();
            let wanted = length.unwrap_or(PRELUDE) - self.frame.len();
            let (part, after) = rest.split_at(wanted.min(rest.len()));
            self.frame.extend_from_slice(part);
            rest = after;
            match self.length() {
                Some(length) if length > MAX_FRAME => {
                    self.to_skip = length - self.frame.len();
                    self.frame.clear();
                }
                Some(length) if length == self.frame.len() => {
                    event_in(&self.frame, &mut each);
                    self.frame.clear();
                }
                _ => {}
            }
        }
    }

    /// The length that the frame announces, never less than what a frame needs.
    fn length(&self) -> Option<usize> {
        let bytes = self.frame.get(..PRELUDE)?.first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*bytes)).ok()?;
        Some(length.max(PRELUDE + CHECKSUM))
    }

    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.frame.capacity()
    }
}

fn event_in(frame: &[u8], each: &mut impl FnMut(Part)) {
    let headers = frame.get(4..).and_then(|rest| rest.first_chunk::<4>());
    let headers = headers.and_then(|length| usize::try_from(u32::from_be_bytes(*length)).ok());
    let payload = headers
        .and_then(|length| frame.get(PRELUDE.checked_add(length)?..frame.len().checked_sub(CHECKSUM)?));
    let Some(payload) = payload else { return };
    let wrapped = members(payload, &["bytes"]);
    match wrapped.and_then(|it| from_base64(it.get("bytes")?.as_str()?)) {
        Some(inner) => each(Part::Data(&inner)),
        None => each(Part::Data(payload)),
    }
    each(Part::End);
}
