//! A vendor's words: the beginning of the body of a response that tells of an error, without secrets.
//!
//! It is kept with the call only if the route says so. Words that hold a secret, in any form that
//! [`Guarded`] knows, are replaced; if the text still holds one then, nothing of it is kept.

use super::headers::KEY_HEADERS;
use super::headers::search::Guarded;
use crate::access::carrier::holds_token;
use crate::call::head::Head;
use crate::encoding::from_base64;
use crate::secret::Secret;
use crate::usage::Clipped;
use crate::usage::errors::{MAX_SAID, VendorError};

/// The text that stands for a word with a secret.
const REMOVED: &str = "[removed]";
/// The shortest beginning of a secret that is removed from the end of a text that was cut.
const LEAST_BEGINNING: usize = 4;

/// Collects the beginning of a body, of which the secrets of its call must be removed.
#[derive(Debug)]
pub struct Listener {
    bytes: Vec<u8>,
    is_cut: bool,
    guarded: Guarded,
}

impl Listener {
    /// Begins, with the secrets that went with the call.
    pub fn new(guarded: Guarded) -> Self {
        Self { bytes: Vec::new(), is_cut: false, guarded }
    }

    /// Takes a piece of the body. What comes after the first 4 KiB is not kept.
    pub fn hear(&mut self, piece: &[u8]) {
        let room = MAX_SAID - self.bytes.len();
        self.is_cut |= piece.len() > room;
        self.bytes.extend(piece.iter().take(room));
    }

    /// Returns what was said; `None` if it was nothing.
    pub fn said(self) -> Option<VendorError> {
        let Self { bytes, is_cut, guarded } = self;
        let text = String::from_utf8_lossy(&bytes);
        let text = if is_cut { without_half_a_word(&text, &guarded) } else { &*text };
        let body = Clipped::from(without_secrets(text, &guarded));
        (!bytes.is_empty()).then_some(VendorError { body, is_cut })
    }
}

/// Returns the secrets in the headers of a request: a vendor may echo a key that the client sent itself.
pub fn secrets_of(head: &Head) -> Vec<Secret> {
    let is_secret =
        |name: &str| KEY_HEADERS.contains(&name) || matches!(name, "cookie" | "proxy-authorization");
    let mut secrets = Vec::new();
    for (_, value) in head.headers().filter(|(name, _)| is_secret(name)) {
        let (scheme, key) = value.split_once(' ').unwrap_or(("", value));
        let login = Some(key.trim()).filter(|_| scheme.eq_ignore_ascii_case("basic")).and_then(from_base64);
        let login = login.and_then(|login| String::from_utf8(login).ok());
        let password = login.as_deref().and_then(|login| login.split_once(':')).map(|(_, password)| password);
        secrets.extend([Some(value), Some(key.trim()), password].into_iter().flatten().map(str::to_owned));
    }
    secrets.into_iter().map(Secret::new).collect()
}

/// Whether a character ends a word, in JSON, HTML and plain text.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'<>()[]{},;".contains(c)
}

/// Returns a text that was cut without its last word, which may be the beginning of a secret, and without a beginning of
/// one that has several words.
fn without_half_a_word<'t>(text: &'t str, guarded: &Guarded) -> &'t str {
    let whole = text.rfind(ends_word).map_or("", |at| text.get(..=at).unwrap_or_default());
    let begun = guarded.begun_at_the_end_of(text, LEAST_BEGINNING);
    let end = begun.map_or(whole.len(), |at| at.min(whole.len()));
    text.get(..text.floor_char_boundary(end)).unwrap_or_default()
}

fn without_secrets(text: &str, guarded: &Guarded) -> String {
    let is_secret = |text: &str| holds_token(text) || guarded.are_in(text);
    if !is_secret(text) {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    for part in text.split_inclusive(ends_word) {
        let word = part.trim_end_matches(ends_word);
        kept.push_str(if is_secret(word) { REMOVED } else { word });
        kept.push_str(part.get(word.len()..).unwrap_or_default());
    }
    if is_secret(&kept) { REMOVED.to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64;
    use crate::upstream::headers::search::percent_encoded;
    use proptest::prelude::*;

    const KEY: &str = "sk-vendor-0123456789abcdef";
    const PASSWORD: &str = "correct horse battery staple";
    const TOKEN: &str = "ntk_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup7j1abW";

    fn guarded() -> Guarded {
        Guarded::new([KEY, PASSWORD, TOKEN].map(|secret| Secret::new(secret.to_owned())))
    }

    fn said(body: &str, piece: usize) -> VendorError {
        let mut listener = Listener::new(guarded());
        body.as_bytes().chunks(piece).for_each(|piece| listener.hear(piece));
        listener.said().unwrap()
    }

    fn forms(secret: &str) -> Vec<String> {
        let escaped = secret.replace('-', "\\u002d").replace(' ', "\\u0020");
        vec![
            secret.to_owned(),
            format!("Bearer {secret}"),
            format!("?key={secret}&a=1"),
            percent_encoded(secret),
            percent_encoded(&percent_encoded(secret)),
            secret.replace(' ', "+"),
            escaped,
            base64(secret.as_bytes()),
            base64(format!("x{secret}").as_bytes()),
            base64(format!("user:{secret}").as_bytes()),
        ]
    }

    #[test]
    fn words_of_an_error_stay_and_those_with_a_secret_go() {
        let told = said(
            r#"{"error":{"message":"Incorrect key sk-vendor-0123456789abcdef, see docs","code":401}}"#,
            7,
        );
        assert_eq!(
            told.body.as_str(),
            r#"{"error":{"message":"Incorrect key [removed], see docs","code":401}}"#
        );
        assert!(!told.is_cut);
        let plain =
            r#"{"error":{"message":"The model `gpt-9` does not exist","type":"invalid_request_error"}}"#;
        assert_eq!(said(plain, 1_000).body.as_str(), plain);
        assert_eq!(
            said(&format!("a {PASSWORD} b"), 1_000).body.as_str(),
            REMOVED,
            "a secret of several words"
        );
        assert_eq!(said(&format!("token {TOKEN}"), 3).body.as_str(), "token [removed]");
        assert!(Listener::new(guarded()).said().is_none(), "an empty body");
    }

    #[test]
    fn no_form_of_a_secret_comes_back_wherever_it_stands() {
        for secret in [KEY, PASSWORD, TOKEN] {
            for form in forms(secret) {
                for length in [0, 1, 40, MAX_SAID - 60, MAX_SAID - 30, MAX_SAID - 9, MAX_SAID - 1, MAX_SAID] {
                    let body = format!("{} {form} {}", "x ".repeat(length / 2), "y".repeat(5_000));
                    for piece in [1, 4_096, 9_000] {
                        let told = said(&body, piece);
                        assert!(!guarded().are_in(&told.body), "{form} at {length}");
                        // Not even the beginning of one, at the border of what is kept.
                        let end = told.body.trim_end();
                        for (beginning, least) in [(form.as_str(), 12), (secret, LEAST_BEGINNING)] {
                            let half = (least..beginning.len())
                                .filter_map(|at| beginning.get(..at))
                                .find(|half| end.ends_with(half));
                            assert_eq!(half, None, "{form} at {length}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn ten_megabytes_cost_four_kilobytes() {
        let mut listener = Listener::new(guarded());
        let piece = vec![b'x'; 65_536];
        for _ in 0..160 {
            listener.hear(&piece);
        }
        assert!(listener.bytes.capacity() <= 2 * MAX_SAID);
        assert!(listener.said().unwrap().is_cut);
    }

    #[test]
    fn keys_that_the_client_sent_itself_are_secrets_too() {
        let login = base64(b"me:hunter2-hunter2");
        let head = Head::read(format!(
            "GET\nhttps://gw.example/x\nauthorization\nBasic {login}\nx-api-key\nown-key-123\ncookie\nsession=abcdef\naccept\n*/*\n"
        ))
        .unwrap();
        let guarded = Guarded::new(secrets_of(&head));
        for secret in ["hunter2-hunter2", &login, "own-key-123", "session=abcdef"] {
            assert!(guarded.are_in(&format!("echo: {secret}")), "{secret}");
        }
        assert!(!guarded.are_in("echo: */*"));
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_text_that_fits(bytes in proptest::collection::vec(any::<u8>(), 1..9_000)) {
            let mut listener = Listener::new(guarded());
            listener.hear(&bytes);
            let told = listener.said().unwrap();
            prop_assert!(serde_json::to_string(&told.body).unwrap().len() <= MAX_SAID + 2);
            prop_assert_eq!(told.is_cut, bytes.len() > MAX_SAID);
        }
    }
}
