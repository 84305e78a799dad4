//! Seals: a credential as it is stored and published.

use crate::encoding::{base64url, from_base64url};
use crate::id::RouteId;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Returns the data that a sealed credential is bound to: with another route or origin it cannot be opened.
pub fn associated_data(route: &RouteId, origin: &str) -> Vec<u8> {
    format!("token-manager credential v1\n{route}\n{origin}").into_bytes()
}

/// A sealed credential on the wire and at rest: `v1.<iv>.<ciphertext and tag>`, base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealedCredential {
    /// The initialisation vector, used once.
    pub iv: [u8; 12],
    /// The ciphertext with its tag of 16 bytes.
    pub ciphertext: Vec<u8>,
}

/// A text that is not a sealed credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a sealed credential")]
pub struct InvalidSeal;

impl FromStr for SealedCredential {
    type Err = InvalidSeal;

    fn from_str(text: &str) -> Result<Self, InvalidSeal> {
        let (iv, ciphertext) = text.strip_prefix("v1.").and_then(|r| r.split_once('.')).ok_or(InvalidSeal)?;
        let iv = from_base64url(iv).ok_or(InvalidSeal)?;
        Ok(Self {
            iv: iv.try_into().map_err(|_| InvalidSeal)?,
            ciphertext: from_base64url(ciphertext).ok_or(InvalidSeal)?,
        })
    }
}

impl std::fmt::Display for SealedCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v1.{}.{}", base64url(&self.iv), base64url(&self.ciphertext))
    }
}

impl TryFrom<String> for SealedCredential {
    type Error = InvalidSeal;

    fn try_from(text: String) -> Result<Self, InvalidSeal> {
        text.parse()
    }
}

impl From<SealedCredential> for String {
    fn from(sealed: SealedCredential) -> Self {
        sealed.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sealed_form_is_pinned() {
        let sealed = SealedCredential { iv: [1; 12], ciphertext: vec![255, 0] };
        assert_eq!(sealed.to_string(), "v1.AQEBAQEBAQEBAQEB._wA");
        assert_eq!("v1.AQEBAQEBAQEBAQEB._wA".parse(), Ok(sealed));
        assert_eq!("v2.AQEBAQEBAQEBAQEB._wA".parse::<SealedCredential>(), Err(InvalidSeal));
        assert_eq!(
            associated_data(&"rte_1".into(), "https://a.example"),
            b"token-manager credential v1\nrte_1\nhttps://a.example"
        );
    }
}
