//! What a call to an AI's API uses: read from its answer as it passes, and bounded beforehand from
//! what it asks for.
//!
//! Nothing is kept of an answer but the few values that are wanted, so memory is bounded whatever its
//! size; where it breaks off, what was said so far counts. What is not said is unknown, never 0.
//!
//! Formats: `OpenAI`'s API reference (chat completions, responses, embeddings, images; streams with
//! `stream_options.include_usage`), Anthropic's Messages (`message_start`, `message_delta`), Gemini's
//! `generateContent` and `streamGenerateContent`, as array and as events; and `OpenAI`'s as others
//! speak it.

mod ask;
mod scan;

pub use ask::{AiAsk, ask_of, with_include_usage};

use crate::settings::AiProvider;
use crate::usage::AiUsage;
use scan::{Captured, Scanner};
use serde_json::Value;

/// Reads an answer piece by piece.
#[derive(Debug)]
pub struct UsageReader {
    provider: AiProvider,
    scanner: Scanner,
    events: Option<Events>,
    counts: Counts,
}

/// The numbers as the provider names them; a later one replaces an earlier one.
#[derive(Debug, Default)]
struct Counts {
    model: Option<String>,
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    tool_prompt: Option<u64>,
}

impl UsageReader {
    /// `content_type` is the answer's: events where it says so, else JSON.
    pub fn new(provider: AiProvider, content_type: &str) -> Self {
        let is_events = content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream");
        Self {
            provider,
            scanner: Scanner::default(),
            events: is_events.then(Events::default),
            counts: Counts::default(),
        }
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        let Self { provider, scanner, events, counts } = self;
        match events {
            None => scanner.feed(chunk, |key, value| counts.take(*provider, key, value)),
            Some(events) => events.feed(chunk, |part| match part {
                Part::Data(bytes) => scanner.feed(bytes, |key, value| counts.take(*provider, key, value)),
                // A value that an event left open does not go on in the next.
                Part::End => *scanner = Scanner::default(),
            }),
        }
    }

    /// Bytes held of the answer.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.scanner.held()
    }

    /// What the answer said, `cost_micros` left open.
    pub fn finish(self) -> AiUsage {
        self.counts.usage(self.provider)
    }
}

impl Counts {
    fn take(&mut self, provider: AiProvider, key: Captured, text: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(text) else { return };
        match key {
            Captured::Model => {
                if let Some(model) = value.as_str() {
                    self.model = Some(crate::usage::clip(model, MAX_MODEL_LEN));
                }
            }
            Captured::Usage => self.take_usage(provider, &value),
        }
    }

    fn take_usage(&mut self, provider: AiProvider, usage: &Value) {
        let set = |slot: &mut Option<u64>, path: &[&str]| {
            let found = path.iter().try_fold(usage, |value, key| value.get(key)).and_then(Value::as_u64);
            *slot = found.or(*slot);
        };
        match provider {
            AiProvider::Openai | AiProvider::OpenaiCompatible => {
                for prompt in ["prompt_tokens", "input_tokens"] {
                    set(&mut self.prompt, &[prompt]);
                    set(&mut self.cache_read, &[&format!("{prompt}_details"), "cached_tokens"]);
                }
                for completion in ["completion_tokens", "output_tokens"] {
                    set(&mut self.completion, &[completion]);
                    set(&mut self.reasoning, &[&format!("{completion}_details"), "reasoning_tokens"]);
                }
                set(&mut self.total, &["total_tokens"]);
                // DeepSeek's name for it.
                set(&mut self.cache_read, &["prompt_cache_hit_tokens"]);
            }
            AiProvider::Anthropic => {
                set(&mut self.prompt, &["input_tokens"]);
                set(&mut self.cache_read, &["cache_read_input_tokens"]);
                set(&mut self.cache_write, &["cache_creation_input_tokens"]);
                set(&mut self.completion, &["output_tokens"]);
            }
            AiProvider::Gemini => {
                set(&mut self.prompt, &["promptTokenCount"]);
                set(&mut self.tool_prompt, &["toolUsePromptTokenCount"]);
                set(&mut self.cache_read, &["cachedContentTokenCount"]);
                set(&mut self.completion, &["candidatesTokenCount"]);
                set(&mut self.reasoning, &["thoughtsTokenCount"]);
                set(&mut self.total, &["totalTokenCount"]);
            }
        }
    }

    /// In one meaning for all: prompt tokens with those of the cache, completion tokens with those of
    /// the reasoning.
    fn usage(self, provider: AiProvider) -> AiUsage {
        let plus = |sum: Option<u64>, part: Option<u64>| sum.map(|n| n.saturating_add(part.unwrap_or(0)));
        let (prompt, completion) = match provider {
            AiProvider::Openai | AiProvider::OpenaiCompatible => (self.prompt, self.completion),
            AiProvider::Anthropic => {
                (plus(plus(self.prompt, self.cache_read), self.cache_write), self.completion)
            }
            AiProvider::Gemini => {
                // Where all was thought and nothing said, candidates are absent.
                let said = self.completion.or(self.reasoning.map(|_| 0));
                (plus(self.prompt, self.tool_prompt), plus(said, self.reasoning))
            }
        };
        // Embeddings name the prompt and the total alone.
        let rest = || self.total?.checked_sub(prompt?);
        AiUsage {
            model: self.model,
            prompt_tokens: prompt,
            completion_tokens: completion.or_else(rest),
            cached_tokens: self.cache_read,
            cache_write_tokens: self.cache_write,
            reasoning_tokens: self.reasoning,
            cost_micros: None,
        }
    }
}

/// The longest name of a model that is kept, in bytes.
const MAX_MODEL_LEN: usize = 100;

/// Server-sent events (WHATWG HTML, section 9.2.6), of which the data matters alone: lines end with
/// LF, CR or both, and a blank one ends the event.
#[derive(Debug)]
struct Events {
    line: Line,
    /// The last byte was a CR, whose LF may follow.
    after_cr: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// So many bytes of `data:` have been seen.
    Name(usize),
    Data,
    /// Another field, or a comment.
    Other,
}

enum Part<'a> {
    Data(&'a [u8]),
    End,
}

const DATA: &[u8] = b"data:";

impl Default for Events {
    fn default() -> Self {
        Self { line: Line::Name(0), after_cr: false }
    }
}

impl Events {
    fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Part)) {
        let mut rest = chunk;
        while let Some(first) = rest.first() {
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

#[cfg(test)]
mod tests;
