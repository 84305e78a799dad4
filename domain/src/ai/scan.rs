//! A scanner of JSON that finds the values of a few keys as the text passes, and holds nothing else.
//!
//! It keeps only the nesting depth and the kinds of the outermost containers that may hold a wanted key. It does not
//! check that the JSON is well formed.

/// A wanted value, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captured {
    /// An object of counts.
    Usage,
    /// A count outside an object of counts.
    Count(Alone),
    Model,
    /// The kind of an event.
    Type,
    /// The reason why a generation ended.
    Finish,
}

/// Ollama's counts, which no object encloses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    Prompt,
    Completion,
}

/// Keys whose values are wanted, anywhere in [`Scanner::live`] containers.
const WANTED: &[(&[u8], Captured)] = &[
    (b"usage", Captured::Usage),
    (b"usageMetadata", Captured::Usage),
    (b"usage_metadata", Captured::Usage),
    // Cohere's, and Bedrock's at the end of a stream.
    (b"meta", Captured::Usage),
    (b"amazon-bedrock-invocationMetrics", Captured::Usage),
    (b"prompt_eval_count", Captured::Count(Alone::Prompt)),
    (b"eval_count", Captured::Count(Alone::Completion)),
    (b"model", Captured::Model),
    (b"modelVersion", Captured::Model),
    (b"type", Captured::Type),
    (b"finish_reason", Captured::Finish),
    (b"finishReason", Captured::Finish),
    (b"stop_reason", Captured::Finish),
    (b"stopReason", Captured::Finish),
    (b"done", Captured::Finish),
];
/// Keys of objects that may hold wanted keys. They occur in the events of `OpenAI`, Anthropic, Cohere and
/// Groq.
const TRANSPARENT: [&[u8]; 4] = [b"response", b"message", b"x_groq", b"delta"];
/// Keys of lists of completions. Of a completion, only the reason why it ended is wanted.
const ANSWERS: [&[u8]; 2] = [b"choices", b"candidates"];
/// The longest of these keys, in bytes.
const MAX_KEY: usize = 33;
/// The longest value that is captured, in bytes.
const MAX_VALUE: usize = 16 << 10;
/// The most containers that are looked into at once.
const MAX_LIVE: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Object,
    Array,
    /// A list of completions, and one of them.
    Answers,
    Answer,
}

/// The scanner's place in a live object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Key,
    Value,
}

#[derive(Debug, Default)]
pub struct Scanner {
    /// Containers open.
    depth: usize,
    /// The kinds of the outermost open containers, as many as the scanner looks into.
    live: Vec<Container>,
    at: At,
    in_string: bool,
    escaped: bool,
    /// The key before the value, if it is short enough to be wanted.
    key: Vec<u8>,
    key_fits: bool,
    /// The wanted value that is being read, and its text.
    capture: Option<Captured>,
    value: Vec<u8>,
    /// Documents that have ended.
    ended: usize,
}

impl Scanner {
    /// Whether a whole document has been seen.
    pub fn is_closed(&self) -> bool {
        self.ended > 0
    }

    /// Scans `bytes`; `found` gets each wanted value's text when it has ended.
    pub fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(Captured, &[u8])) {
        let mut rest = bytes;
        while let Some(first) = rest.first().copied() {
            if self.in_string {
                // The quick way through text: to the next quote or backslash.
                let plain = if self.escaped {
                    0
                } else {
                    rest.iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(rest.len())
                };
                let (text, after) = rest.split_at(plain);
                self.keep(text);
                rest = after;
                if let Some(special) = rest.first().copied() {
                    self.keep(&[special]);
                    rest = rest.get(1..).unwrap_or_default();
                    if self.escaped {
                        self.escaped = false;
                    } else if special == b'\\' {
                        self.escaped = true;
                    } else {
                        self.in_string = false;
                    }
                }
                continue;
            }
            rest = rest.get(1..).unwrap_or_default();
            self.step(first, &mut found);
        }
    }

    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.key.capacity() + self.value.capacity() + self.live.capacity()
    }

    /// Whether the innermost container is one that is looked into.
    fn is_live(&self) -> bool {
        self.depth == self.live.len()
    }

    fn is_in_live_object(&self) -> bool {
        self.is_live() && matches!(self.live.last(), Some(Container::Object | Container::Answer))
    }

    /// One byte outside a string.
    fn step(&mut self, byte: u8, found: &mut impl FnMut(Captured, &[u8])) {
        match byte {
            b'"' => {
                self.in_string = true;
                if self.is_in_live_object() && self.at == At::Key {
                    self.key.clear();
                    self.key_fits = true;
                } else {
                    self.keep(b"\"");
                }
            }
            b':' if self.is_in_live_object() && self.at == At::Key => {
                self.at = At::Value;
                // The key was kept with its closing quote: remove it.
                self.key.pop();
                let wanted = WANTED.iter().find(|(key, _)| self.key_fits && *key == self.key);
                let is_answer = self.live.last() == Some(&Container::Answer);
                self.capture = wanted
                    .map(|(_, captured)| *captured)
                    .filter(|captured| !is_answer || *captured == Captured::Finish);
                self.value.clear();
            }
            b'{' | b'[' => {
                if let Some(kind) = self.looked_into(byte) {
                    self.live.push(kind);
                    self.at = At::Key;
                }
                self.depth += 1;
                self.keep(&[byte]);
            }
            b'}' | b']' => {
                if self.is_live() {
                    self.end_value(found);
                    self.live.pop();
                    self.at = At::Value;
                } else {
                    self.keep(&[byte]);
                }
                self.depth = self.depth.saturating_sub(1);
                self.ended += usize::from(self.depth == 0);
            }
            b',' if self.is_live() => {
                self.end_value(found);
                self.at = At::Key;
            }
            _ => self.keep(&[byte]),
        }
    }

    /// Returns the kind of the container that this byte opens; `None` if the scanner need not look into it.
    fn looked_into(&self, byte: u8) -> Option<Container> {
        if !self.is_live() || self.capture.is_some() || self.live.len() >= MAX_LIVE {
            return None;
        }
        let kind = if byte == b'{' { Container::Object } else { Container::Array };
        let key = Some(self.key.as_slice()).filter(|_| self.at == At::Value && self.key_fits);
        match (self.live.last(), kind) {
            (None | Some(Container::Array), _) => (self.depth < 2).then_some(kind),
            (Some(Container::Object), Container::Array) => {
                ANSWERS.contains(&key?).then_some(Container::Answers)
            }
            (Some(Container::Object), _) => TRANSPARENT.contains(&key?).then_some(kind),
            (Some(Container::Answers), Container::Object) => Some(Container::Answer),
            (Some(Container::Answers | Container::Answer), _) => None,
        }
    }

    /// Adds to the key or to the value that is being read.
    fn keep(&mut self, bytes: &[u8]) {
        let (text, most) = match self.capture {
            Some(_) => (&mut self.value, MAX_VALUE),
            None if self.in_string
                && self.key_fits
                && self.at == At::Key
                && self.depth == self.live.len() =>
            {
                (&mut self.key, MAX_KEY)
            }
            None => return,
        };
        if text.len() + bytes.len() > most {
            text.clear();
            if self.capture.take().is_none() {
                self.key_fits = false;
            }
        } else {
            text.extend_from_slice(bytes);
        }
    }

    fn end_value(&mut self, found: &mut impl FnMut(Captured, &[u8])) {
        if let Some(captured) = self.capture.take() {
            found(captured, &self.value);
        }
        self.value.clear();
    }
}
