//! Text from outside, bounded by its type.

use serde::{Deserialize, Deserializer, Serialize};
use std::ops::Deref;

/// Text that takes at most `MAX` bytes in JSON, escapes included. Longer text is cut between two
/// characters, whether it is converted or deserialised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Clipped<const MAX: usize>(String);

impl<const MAX: usize> Clipped<MAX> {
    /// Returns the text, at most `MAX` bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> From<String> for Clipped<MAX> {
    fn from(text: String) -> Self {
        Self(clipped(text, MAX))
    }
}

impl<const MAX: usize> From<&str> for Clipped<MAX> {
    fn from(text: &str) -> Self {
        // A character takes at least a byte, so the rest need not be copied first.
        super::clip(text, MAX).into()
    }
}

impl<const MAX: usize> Deref for Clipped<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Clipped<MAX> {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        String::deserialize(text).map(Self::from)
    }
}

/// Clips `text`. It is not generic, so that the Worker holds one copy of it rather than one for each length.
fn clipped(mut text: String, most: usize) -> String {
    let mut length = 0;
    let end = text.char_indices().find(|(_, c)| {
        length += in_json(*c);
        length > most
    });
    if let Some((end, _)) = end {
        text.truncate(end);
        text.shrink_to_fit();
    }
    text
}

/// Bytes that `serde_json` writes for a character.
fn in_json(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clipping_keeps_characters_whole() {
        assert_eq!(Clipped::<2>::from("aé").as_str(), "a");
        assert_eq!(Clipped::<9>::from("aé").as_str(), "aé");
        assert_eq!(Clipped::<6>::from("\"\"\"\"").as_str(), "\"\"\"");
    }

    proptest! {
        #[test]
        fn any_text_fits_its_type(text in any::<String>()) {
            let clipped = Clipped::<20>::from(text.as_str());
            prop_assert!(serde_json::to_string(&clipped).unwrap().len() <= 20 + 2);
            prop_assert!(text.starts_with(clipped.as_str()));
            prop_assert_eq!(&clipped, &Clipped::from(text.clone()));
            let back: Clipped<20> = serde_json::from_str(&serde_json::to_string(&text).unwrap()).unwrap();
            prop_assert_eq!(clipped, back);
        }
    }
}
