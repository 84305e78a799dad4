//! The usage of a call to an AI's API: its upper bound from the request, and the use itself from the response as it
//! passes.
//!
//! Only a few values of a response are held, so memory is bounded for any size. Usage is recognised by the response's
//! shape (`counts`), since one route may serve the APIs of several vendors. A response that broke off before its last
//! event used an unknown amount; unknown is never 0.
//!
//! Formats: `OpenAI`'s API reference (chat completions, responses, embeddings, images; streams with
//! `stream_options.include_usage`), Anthropic's Messages (`message_start`, `message_delta`), Gemini's
//! `generateContent` and `streamGenerateContent`, as array and as events, Bedrock's `InvokeModel` and
//! `Converse`, Cohere's and Ollama's; and `OpenAI`'s as others speak it.

pub mod price;
pub mod renamed;

mod ask;
mod charging;
mod counts;
pub mod form;
mod members;
mod metering;
mod named;
mod parts;
mod scan;

pub use ask::{AiAsk, ask_of, ask_of_form, with_include_usage};
pub use charging::{Charge, MeteredAt, Tried, Upstream};
pub use metering::{Metering, metering};

use crate::usage::{AiUsage, Clipped, MAX_MODEL_LEN};
use counts::{Counts, Slot};
use parts::{Events, Frames, MARK, Part};
use scan::{Alone, Captured, Scanner};
use serde_json::Value;

/// Reads a response piece by piece.
#[derive(Debug)]
pub struct UsageReader {
    format: Format,
    scanner: Scanner,
    /// Values of the current event.
    event: Said,
    counts: Counts,
    model: Option<Clipped<MAX_MODEL_LEN>>,
    /// Whether a generation has ended.
    has_finished: bool,
    /// Whether the last event had counts.
    ends_with_counts: bool,
    /// Whether the last event that tells usage has come.
    is_whole: bool,
}

#[derive(Debug)]
enum Format {
    /// JSON by its type, of which nothing has been seen yet.
    Unsure,
    Json,
    /// One JSON a line.
    Lines,
    Events(Events),
    Frames(Frames),
}

/// Codings that the runtime undoes before a body is seen.
const READABLE_ENCODINGS: [&str; 4] = ["", "identity", "gzip", "br"];

/// Bedrock's counts in headers.
const COUNT_HEADERS: [(&str, Slot); 4] = [
    ("x-amzn-bedrock-input-token-count", Slot::Input),
    ("x-amzn-bedrock-output-token-count", Slot::Output),
    ("x-amzn-bedrock-cache-read-input-token-count", Slot::CacheRead),
    ("x-amzn-bedrock-cache-write-input-token-count", Slot::CacheCreated),
];

/// Types of the events after which no usage is told.
const LAST_TYPES: [&str; 8] = [
    "message_stop",
    "message-end",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "image_generation.completed",
    "image_edit.completed",
    "transcript.text.done",
];
/// The type of Anthropic's first event, whose `output_tokens` is a placeholder.
const FIRST_TYPE: &str = "message_start";
/// The data of the last event of `OpenAI`'s streams.
const DONE: &[u8] = b"[DONE]";

impl UsageReader {
    /// Makes a reader of a response with these headers; `None` if its body cannot be read or holds no counts.
    pub fn of(header: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let encoding = header("content-encoding").unwrap_or_default();
        if !READABLE_ENCODINGS.contains(&encoding.trim()) {
            return None;
        }
        let mut reader = Self::new(&header("content-type")?)?;
        if matches!(reader.format, Format::Unsure) {
            for (name, slot) in COUNT_HEADERS {
                let Some(count) = header(name) else { break };
                reader.counts.put(slot, count.trim().parse().ok());
            }
        }
        Some(reader)
    }

    /// Makes a reader of a body of this type; `None` for types that hold no usage.
    pub fn new(content_type: &str) -> Option<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let format = format_named(&media)?;
        Some(Self {
            format,
            scanner: Scanner::default(),
            event: Said::default(),
            counts: Counts::default(),
            model: None,
            has_finished: false,
            ends_with_counts: false,
            is_whole: false,
        })
    }

    /// Reads the next piece of the body.
    pub fn feed(&mut self, chunk: &[u8]) {
        // Taken out for the time of the call, so that its parts can be handed on.
        match std::mem::replace(&mut self.format, Format::Json) {
            Format::Unsure => {
                self.format = format_of(chunk);
                if !matches!(self.format, Format::Unsure) {
                    self.feed(chunk);
                }
            }
            Format::Json => self.data(chunk),
            Format::Lines => {
                for line in chunk.split_inclusive(|byte| *byte == b'\n') {
                    self.data(line);
                    if line.ends_with(b"\n") {
                        self.end_event();
                    }
                }
                self.format = Format::Lines;
            }
            Format::Events(mut events) => {
                events.feed(chunk, |part| self.part(&part));
                self.format = Format::Events(events);
            }
            Format::Frames(mut frames) => {
                frames.feed(chunk, |part| self.part(&part));
                self.format = Format::Frames(frames);
            }
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Data(bytes) => {
                self.event.look_for_done(bytes);
                self.data(bytes);
            }
            Part::End => self.end_event(),
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        let Self { scanner, event, .. } = self;
        scanner.feed(bytes, |key, value| event.take(key, value));
    }

    /// Adds the event's values to those before. A value that it left unfinished does not go on in the next event.
    fn end_event(&mut self) {
        self.scanner = Scanner::default();
        let mut said = std::mem::take(&mut self.event);
        if said.is_blank() {
            return;
        }
        if said.place == Some(Place::First) {
            said.counts.forget_answer();
        }
        self.counts.merge(&said.counts);
        self.model = said.model.or(self.model.take());
        self.has_finished |= said.has_finish;
        if said.place == Some(Place::Last) || said.done == DONE || (self.has_finished && said.has_counts) {
            self.is_whole = true;
        }
        // Nothing else is in the event of `[DONE]`.
        self.ends_with_counts = said.has_counts && said.place != Some(Place::First);
    }

    /// Returns the number of bytes held of the response.
    #[cfg(test)]
    fn held(&self) -> usize {
        let frames = if let Format::Frames(frames) = &self.format { frames.held() } else { 0 };
        self.scanner.held() + frames
    }

    /// Returns the usage that the response told; `cost_micros` is `None`.
    ///
    /// `has_ended` says whether the body came to its end. Once the last event that tells usage has come, the counts are
    /// those of the whole call, even if the connection breaks afterwards. Before that they would be a part of it, and
    /// are left out.
    pub fn finish(mut self, has_ended: bool) -> AiUsage {
        let is_json = matches!(self.format, Format::Json | Format::Unsure);
        let is_closed = self.scanner.is_closed();
        if !is_closed {
            // An event that broke off may hold a part of its counts.
            self.event = Said::default();
        }
        self.end_event();
        let is_whole =
            if is_json { is_closed } else { self.is_whole || (has_ended && self.ends_with_counts) };
        if is_whole { self.counts.usage(self.model) } else { Counts::default().usage(self.model) }
    }
}

/// The format of a media type. Bodies of other types, such as files, sound and pictures, are not looked at.
fn format_named(media: &str) -> Option<Format> {
    match media {
        "application/json" => Some(Format::Unsure),
        "text/event-stream" => Some(Format::Events(Events::default())),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/stream+json" => {
            Some(Format::Lines)
        }
        "application/vnd.amazon.eventstream" => Some(Format::Frames(Frames::default())),
        other => other.ends_with("+json").then_some(Format::Unsure),
    }
}

/// The format of a body that is called JSON, by its first visible byte: some servers send events under
/// that name.
fn format_of(chunk: &[u8]) -> Format {
    let first = chunk.iter().find(|byte| !byte.is_ascii_whitespace() && !MARK.contains(byte));
    match first {
        None => Format::Unsure,
        Some(b'd' | b'e' | b'i' | b'r' | b':') => Format::Events(Events::default()),
        Some(_) => Format::Json,
    }
}

/// Places of an event that its type tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Last,
}

/// Values that one event said.
#[derive(Debug, Default)]
struct Said {
    counts: Counts,
    model: Option<Clipped<MAX_MODEL_LEN>>,
    has_counts: bool,
    has_finish: bool,
    place: Option<Place>,
    /// The first bytes of its data, as many as tell `[DONE]` from anything else.
    done: Vec<u8>,
}

impl Said {
    fn take(&mut self, key: Captured, text: &[u8]) {
        let Some(value) = str::from_utf8(text).ok().and_then(|text| serde_json::from_str::<Value>(text).ok())
        else {
            return;
        };
        match key {
            Captured::Usage => {
                let before = self.counts.clone();
                self.counts.take(&value);
                self.has_counts |= self.counts != before;
            }
            Captured::Count(alone) => {
                let slot = match alone {
                    Alone::Prompt => Slot::Prompt,
                    Alone::Completion => Slot::Completion,
                };
                self.counts.put(slot, value.as_u64());
                self.has_counts = true;
            }
            Captured::Model => {
                // Azure's first chunk has an empty name.
                let name = value.as_str().filter(|name| !name.is_empty());
                self.model = name.map(Into::into).or(self.model.take());
            }
            Captured::Type => {
                let kind = value.as_str().unwrap_or_default();
                let place = (kind == FIRST_TYPE).then_some(Place::First);
                self.place = self.place.or(place).or(LAST_TYPES.contains(&kind).then_some(Place::Last));
            }
            Captured::Finish => {
                self.has_finish |=
                    value == Value::Bool(true) || value.as_str().is_some_and(|why| !why.is_empty());
            }
        }
    }

    fn look_for_done(&mut self, data: &[u8]) {
        let visible = data.iter().filter(|byte| !byte.is_ascii_whitespace());
        self.done.extend(visible.take(DONE.len() + 1 - self.done.len().min(DONE.len() + 1)));
    }

    fn is_blank(&self) -> bool {
        let Self { model, has_counts, has_finish, place, done, counts: _ } = self;
        model.is_none() && !has_counts && !has_finish && place.is_none() && done.is_empty()
    }
}

#[cfg(test)]
mod tests;
