//! The search for secrets in header values, in any encoding.

use crate::encoding::percent_decode;
use crate::secret::Secret;

/// A shorter secret would be found in every other header by accident, so it is not searched for.
const MIN_LEN: usize = 4;
/// A shorter secret counts only as a word of its own, for the same reason.
const MIN_LEN_INSIDE: usize = 8;
/// Rounds of decoding: an address inside an address inside an address.
const ROUNDS: usize = 3;
/// The most readings of one text. No vendor writes a text that has more; it counts as one that holds a secret.
const MAX_FORMS: usize = 1_000;

/// Secrets that must not cross the gateway.
#[derive(Clone, Debug)]
pub struct Guarded {
    secrets: Vec<Secret>,
    shortest: usize,
}

impl Default for Guarded {
    fn default() -> Self {
        Self::new([])
    }
}

impl Guarded {
    /// Makes a search for these secrets.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let secrets: Vec<_> = secrets.into_iter().filter(|s| s.expose().len() >= MIN_LEN).collect();
        let shortest = secrets.iter().map(|s| s.expose().len()).min().unwrap_or(usize::MAX);
        Self { secrets, shortest }
    }

    /// Returns a search for these secrets and `more`.
    #[must_use]
    pub fn and(&self, more: impl IntoIterator<Item = Secret>) -> Self {
        Self::new(self.secrets.iter().cloned().chain(more))
    }

    /// Whether `text` holds one of them: plain, percent-encoded, form-encoded, escaped with backslashes, in base64 of
    /// either alphabet at any offset, and up to three of these inside each other.
    pub fn are_in(&self, text: &str) -> bool {
        // No encoding is shorter than what it encodes.
        if text.len() < self.shortest {
            return false;
        }
        let mut forms = vec![text.as_bytes().to_vec()];
        if !text.is_ascii()
            && let Some(bytes) = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
        {
            // UTF-8 that the runtime read as Latin-1.
            forms.push(bytes);
        }
        for _ in 0..=ROUNDS {
            for at in 0..forms.len() {
                let others = forms.get(at).map(|form| other_readings(form)).unwrap_or_default();
                forms.extend(others);
            }
            if forms.len() > MAX_FORMS || forms.iter().any(|form| self.are_in_form(form)) {
                return true;
            }
            forms = forms.iter().flat_map(|form| self.decoded(form)).collect();
        }
        false
    }

    /// Returns where `text` ends with the beginning of one of them, of at least `least` bytes.
    pub fn begun_at_the_end_of(&self, text: &str, least: usize) -> Option<usize> {
        let text = text.trim_end_matches('\\');
        let begun = |secret: &Secret| {
            let lengths = (least..=secret.expose().len().min(text.len())).rev();
            let is_begun = |length: &usize| {
                secret.expose().get(..*length).is_some_and(|beginning| text.ends_with(beginning))
            };
            lengths.into_iter().find(is_begun).map(|length| text.len() - length)
        };
        self.secrets.iter().filter_map(begun).min()
    }

    fn are_in_form(&self, form: &[u8]) -> bool {
        self.secrets.iter().any(|secret| {
            let secret = secret.expose().as_bytes();
            let is_long = secret.len() >= MIN_LEN_INSIDE;
            holds(form, secret, is_long)
                || without_escapes(secret).is_some_and(|bare| holds(form, &bare, is_long))
        })
    }

    /// Returns what `form` stands for if it is percent-encoded, or if parts of it are base64.
    fn decoded(&self, form: &[u8]) -> Vec<Vec<u8>> {
        let percent = form.contains(&b'%').then(|| percent_decode(form));
        let least = self.shortest.saturating_mul(4) / 3;
        let runs = form.split(|b| sextet(*b).is_none()).filter(|run| run.len() >= least);
        let plain = runs.flat_map(|run| (0..4).filter_map(|from| run.get(from..)).map(base64_decode));
        percent.into_iter().chain(plain).collect()
    }
}

/// Returns the other readings of `form`: with `+` as a space, and without the escapes of JSON. A reading that changes
/// nothing is left out.
fn other_readings(form: &[u8]) -> Vec<Vec<u8>> {
    let has_plus = form.contains(&b'+');
    let spaced = has_plus.then(|| form.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect());
    spaced.into_iter().chain(without_escapes(form)).collect()
}

/// Returns `bytes` without the backslashes of JSON and of quoted strings, `\\u0026` as `&`; `None` if it has no
/// backslash.
fn without_escapes(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.contains(&b'\\') {
        return None;
    }
    let mut bare = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bare.push(*first);
        } else if let Some((character, after)) = escaped_character(after) {
            bare.extend(character.encode_utf8(&mut [0; 4]).bytes());
            rest = after;
        }
    }
    Some(bare)
}

/// Reads `uXXXX`, the rest of an escaped character.
fn escaped_character(bytes: &[u8]) -> Option<(char, &[u8])> {
    let (digits, rest) = bytes.strip_prefix(b"u")?.split_at_checked(4)?;
    let code = u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    Some((char::from_u32(code)?, rest))
}

/// Whether `secret` is in `text`, anywhere or only as a word of its own.
fn holds(text: &[u8], secret: &[u8], anywhere: bool) -> bool {
    let is_word = |at: usize| {
        let is_part = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        !is_part(at.checked_sub(1).and_then(|before| text.get(before)))
            && !is_part(text.get(at + secret.len()))
    };
    let mut found = text.windows(secret.len().max(1)).enumerate().filter(|(_, window)| *window == secret);
    found.any(|(at, _)| anywhere || is_word(at))
}

/// Returns the six bits of a base64 character, in the plain alphabet or the one for URLs (RFC 4648).
fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// Decodes a run without padding; bits that are left over at its end are dropped.
fn base64_decode(run: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(run.len() * 3 / 4);
    for quad in run.chunks(4) {
        let bits =
            quad.iter().fold(0, |bits, b| bits << 6 | sextet(*b).unwrap_or(0)) << (6 * (4 - quad.len()));
        let [_, decoded @ ..] = u32::to_be_bytes(bits);
        bytes.extend(decoded.iter().take(quad.len() * 3 / 4));
    }
    bytes
}

#[cfg(test)]
pub(in crate::upstream) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, b| {
        let _ = write!(encoded, "%{b:02x}");
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{base64, base64url};
    use proptest::prelude::*;
    use url::form_urlencoded::byte_serialize;

    fn guarded(secret: &str) -> Guarded {
        Guarded::new([Secret::new(secret.to_owned())])
    }

    #[test]
    fn a_short_secret_is_found_as_a_word_only() {
        assert!(guarded("k1ey").are_in("/items?a=1&key=k1ey&b=2") && guarded("k1ey").are_in("k1ey"));
        assert!(!guarded("k1ey").are_in("W/\"0ak1ey9\""));
        assert!(!guarded("a1").are_in("a1"), "too short to mean anything");
        assert!(!Guarded::default().are_in("anything"));
    }

    #[test]
    fn an_ordinary_value_holds_no_secret() {
        let guarded = guarded(concat!("sk-", "proj-0123456789abcdefghijABCDEFGHIJ"));
        for value in
            ["", "application/json", "W/\"33a64df551425fcc55e4d42a148795d9f25f89d4\"", "%", "a%2", "====="]
        {
            assert!(!guarded.are_in(value), "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_secret_is_found_in_every_encoding(
            secret in "[ -~]{8,40}|[a-zA-Z0-9+/=_-]{8,60}|\\PC{8,20}",
            before in "[ -~]{0,9}",
            after in "[ -~]{0,9}",
        ) {
            let form: String = byte_serialize(secret.as_bytes()).collect();
            let latin1: String = secret.bytes().map(char::from).collect();
            let pair = format!("{before}{secret}{after}");
            for text in [
                pair.clone(),
                format!("/x?a={form}&b={after}"),
                format!("/x?return={}", percent_encoded(&format!("/y?key={form}"))),
                percent_encoded(&percent_encoded(&secret)),
                format!("Basic {}", base64(pair.as_bytes())),
                format!("x{}", base64url(pair.as_bytes())),
                percent_encoded(&base64(pair.as_bytes())),
                serde_json::to_string(&pair).unwrap(),
                latin1,
            ] {
                prop_assert!(guarded(&secret).are_in(&text), "{text}");
            }
        }

        #[test]
        fn a_secret_as_it_is_is_found_in_any_text(before in "\\PC{0,40}", secret in "\\PC{8,12}", after in "\\PC{0,40}") {
            let text = format!("{before}{secret}{after}");
            prop_assert!(guarded(&secret).are_in(&text));
        }
    }
}
