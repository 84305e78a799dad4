//! JSON looked through as it passes, for the values of a few keys and nothing else.
//!
//! The scanner keeps a depth, and the kinds of the outermost containers in which a wanted key may
//! stand; everything else is skipped. It does not judge whether the JSON is well formed.

/// A wanted value, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captured {
    Usage,
    Model,
}

/// Keys whose values are wanted, wherever they stand in [`Scanner::live`] containers.
const WANTED: [(&[u8], Captured); 4] = [
    (b"usage", Captured::Usage),
    (b"usageMetadata", Captured::Usage),
    (b"model", Captured::Model),
    (b"modelVersion", Captured::Model),
];
/// Keys of objects in which wanted keys may stand: the events of `OpenAI`'s responses, of Anthropic's
/// messages, and Groq's.
const TRANSPARENT: [&[u8]; 3] = [b"response", b"message", b"x_groq"];
/// The longest of these keys, in bytes.
const MAX_KEY: usize = 16;
/// The longest value that is captured, in bytes.
const MAX_VALUE: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// Where in a live object the scanner stands.
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
    /// The outermost of them, as many as are looked into.
    live: Vec<Container>,
    at: At,
    in_string: bool,
    escaped: bool,
    /// The key that stands before the value, where it is short enough to be wanted.
    key: Vec<u8>,
    key_fits: bool,
    /// The wanted value that is being read, and its text.
    capture: Option<Captured>,
    value: Vec<u8>,
}

impl Scanner {
    /// Looks through `bytes`; `found` gets each wanted value's text when it has ended.
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
        self.is_live() && self.live.last() == Some(&Container::Object)
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
                // The closing quote came along.
                self.key.pop();
                let wanted = WANTED.iter().find(|(key, _)| self.key_fits && *key == self.key);
                self.capture = wanted.map(|(_, captured)| *captured);
                self.value.clear();
            }
            b'{' | b'[' => {
                let kind = if byte == b'{' { Container::Object } else { Container::Array };
                let is_looked_into = self.is_live()
                    && self.capture.is_none()
                    && match self.live.last() {
                        None | Some(Container::Array) => self.depth < 2,
                        Some(Container::Object) => {
                            self.at == At::Value
                                && self.key_fits
                                && TRANSPARENT.contains(&self.key.as_slice())
                        }
                    };
                if is_looked_into {
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
            }
            b',' if self.is_live() => {
                self.end_value(found);
                self.at = At::Key;
            }
            _ => self.keep(&[byte]),
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
