//! The secret of an admin API key. It has the form and the check of a token's, under a label of its own, so neither
//! passes for the other.

use crate::keys::KeyRing;
use crate::secret::Secret;
use crate::token::{CURRENT_LEN, TokenHash, TokenHint, is_checked, mint_checked};

/// The beginning of every admin API key.
pub const PREFIX: &str = "nak_";
/// Authenticated with the key, and with nothing else.
const LABEL: &[u8] = b"admin API key\n";

/// An admin API key whose shape and check are right. It need not be known.
#[derive(Clone, Debug)]
pub struct KeySecret(Secret);

impl KeySecret {
    /// Mints a key from 32 bytes of a CSPRNG, checked under the ring's first key.
    ///
    /// `None` only if HMAC refused a 32-byte key, which it does not.
    pub fn mint(random: [u8; 32], keys: &KeyRing) -> Option<Self> {
        mint_checked(PREFIX, LABEL, random, keys).map(Self)
    }

    /// Checks shape and check. A forged key ends here, before anything is looked up.
    pub fn parse(text: &str, keys: &KeyRing) -> Option<Self> {
        let body = text.strip_prefix(PREFIX)?;
        let has_shape = text.len() == CURRENT_LEN && body.bytes().all(|b| b.is_ascii_alphanumeric());
        (has_shape && is_checked(text, LABEL, keys)).then(|| Self(Secret::new(text.to_owned())))
    }

    /// Returns the hash that the key is looked up under.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.expose())
    }

    /// Returns the plain text, for the one response that shows it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the part that may always be shown: the first 12 and the last 4 characters.
    pub fn hint(&self) -> TokenHint {
        TokenHint::of(&self.0)
    }
}
