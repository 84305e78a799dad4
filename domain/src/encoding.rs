//! Text forms of bytes: hex, base64 (RFC 4648), percent-encoding (RFC 3986, section 2.1).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Writes bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads hex of either case. `None` if the number of digits is odd or a character is no digit.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    bytes.chunks_exact(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.last()?)?)).collect()
}

/// Writes base64 with its padding (section 4).
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads what [`base64()`] writes; `None` for anything else.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Writes base64url without padding (section 5).
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`base64url`] writes; `None` for anything else.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes every well-formed `%XX` once; anything else stays as it is.
pub fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_text_is_refused_or_left() {
        for text in ["0", "0g", "é"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
        assert_eq!(from_base64("AA"), None, "padding is needed");
        assert_eq!(from_base64url("AA=="), None, "padding is refused");
        assert_eq!(percent_decode(b"%zz%4%%41%2541"), b"%zz%4%A%41");
    }

    proptest! {
        #[test]
        fn bytes_survive_each_form(bytes: Vec<u8>) {
            prop_assert_eq!(from_hex(&hex(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(from_hex(&hex(&bytes).to_uppercase()), Some(bytes.clone()));
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(from_base64url(&base64url(&bytes)), Some(bytes));
        }
    }
}
