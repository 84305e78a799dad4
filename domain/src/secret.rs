//! A string that must not be seen.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;

/// A secret string: no `Display`, no `Serialize`, a `Debug` that shows nothing.
///
/// It can be read from a request. [`Revealed`] alone writes it: into the plain text that goes straight
/// into AES-GCM, and into the request that a form sends.
#[derive(Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent, inline))]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The secret itself. Every call site is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

/// Types with secrets in them that can be written on purpose. They have no `Serialize`, so that neither a
/// response nor a log line can hold them: `#[serde(remote = "Self")]` derives the function and not the trait.
pub trait Reveal {
    /// Writes the value with its secrets in the clear.
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

/// A value that is written with its secrets. Every place that makes one is a place to look at in a review.
#[derive(Debug)]
pub struct Revealed<'a, T>(pub &'a T);

impl<T: Reveal> Serialize for Revealed<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.reveal(serializer)
    }
}

impl Reveal for Secret {
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<T: Reveal> Reveal for Option<T> {
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(Revealed).serialize(serializer)
    }
}

impl<T: Reveal> Reveal for Vec<T> {
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Revealed))
    }
}

/// Implements [`Reveal`] and `Deserialize` by the functions that `#[serde(remote = "Self")]` derives.
#[macro_export]
macro_rules! revealed {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::secret::Reveal for $name {
            fn reveal<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )+};
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert!(!format!("{:?}", Secret::new("hunter2".into())).contains("hunter2"));
    }
}
