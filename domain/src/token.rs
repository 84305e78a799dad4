//! The token: its form, its keyed check, the key it is looked up under.
//!
//! ```text
//! ntk_ <43 base62 characters, 256 random bits> <6 base62 characters of check>   53 in all
//! ntk_ <43 base64url characters>                                                47 in all, legacy
//! ```
//!
//! The check is the head of HMAC-SHA-256 (RFC 2104) under `TOKEN_CHECK_KEY` over the characters before
//! it. A forger guesses it once in 62^6 ≈ 5.7e10 tries, so forged tokens cost no KV read.

use crate::encoding::hex;
use crate::keys::{Key256, KeyRing};
use crate::mac;
use crate::secret::Secret;
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::str::FromStr;
use subtle::{Choice, ConstantTimeEq};

/// The beginning of every token.
pub const PREFIX: &str = "ntk_";
/// The beginning of every token that was derived from one.
pub const DERIVED_PREFIX: &str = "ntd_";
const BODY_LEN: usize = 43;
const CHECK_LEN: usize = 6;
pub(crate) const SIGNED_LEN: usize = PREFIX.len() + BODY_LEN;
pub(crate) const CURRENT_LEN: usize = SIGNED_LEN + CHECK_LEN;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The time that an old secret goes on working after a rotation, unless the call says otherwise.
pub const DEFAULT_GRACE_MS: UnixMs = 24 * crate::time::HOUR_MS;
/// The longest time that an old secret goes on working after a rotation.
pub const MAX_GRACE_MS: UnixMs = 30 * crate::time::DAY_MS;

/// Whether a text begins as our secrets do: with [`PREFIX`], [`DERIVED_PREFIX`], or as an admin API key does, which no
/// upstream may see either.
pub(crate) fn begins_as_ours(text: &[u8]) -> bool {
    matches!(text, [b'n', b't', b'k' | b'd', b'_', ..] | [b'n', b'a', b'k', b'_', ..])
}

/// Writes 16 random bytes as an id of 22 characters: 11 digits in base 62 for each half.
pub fn random_id(random: [u8; 16]) -> String {
    let mut id = String::with_capacity(22);
    for half in random.as_chunks::<8>().0 {
        let mut number = u64::from_be_bytes(*half);
        for _ in 0..11 {
            let digit = usize::try_from(number % 62).unwrap_or_default();
            id.push(char::from(BASE62.get(digit).copied().unwrap_or(b'0')));
            number /= 62;
        }
    }
    id
}

/// Writes `bytes` as a big-endian number in base 62, exactly `width` characters (the lowest ones).
pub fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = Vec::with_capacity(width);
    for _ in 0..width {
        let mut remainder = 0_u16;
        for byte in &mut number {
            let value = (remainder << 8) | u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        digits.push(BASE62.get(usize::from(remainder)).copied().unwrap_or(b'0'));
    }
    digits.iter().rev().map(|b| char::from(*b)).collect()
}

fn check_of(signed: &[&[u8]], key: &Key256) -> Option<String> {
    let tag = mac::tag(key.expose(), signed)?;
    tag.first_chunk::<8>().map(|head| base62(head, CHECK_LEN))
}

/// Writes 32 bytes of a CSPRNG as a text that begins with `prefix` and ends with its check under the ring's first key.
/// `label` is authenticated with it, so that a check of one kind of secret is none of another.
///
/// `None` only if HMAC refused a 32-byte key, which it does not.
pub(crate) fn mint_checked(prefix: &str, label: &[u8], random: [u8; 32], keys: &KeyRing) -> Option<Secret> {
    let mut text = format!("{prefix}{}", base62(&random, BODY_LEN));
    let check = check_of(&[label, text.as_bytes()], keys.first())?;
    text.push_str(&check);
    Some(Secret::new(text))
}

/// Whether `text`, of the length that [`mint_checked`] gives, ends with its check under any key of the ring. Each key is
/// compared in constant time.
pub(crate) fn is_checked(text: &str, label: &[u8], keys: &KeyRing) -> bool {
    let Some((signed, check)) = text.split_at_checked(SIGNED_LEN) else { return false };
    let matches = keys.iter().fold(Choice::from(0), |any, key| {
        check_of(&[label, signed.as_bytes()], key)
            .map_or(any, |expected| any | expected.as_bytes().ct_eq(check.as_bytes()))
    });
    bool::from(matches)
}

/// Mints a token from 32 bytes of a CSPRNG, checked under the ring's first key.
///
/// `None` only if HMAC refused a 32-byte key, which it does not.
pub fn mint(random: [u8; 32], keys: &KeyRing) -> Option<TokenSecret> {
    let secret = mint_checked(PREFIX, b"", random, keys)?;
    Some(TokenSecret { secret, form: Form::Current })
}

/// Which of the two forms a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Carries a check under `TOKEN_CHECK_KEY`.
    Current,
    /// From the earlier system; carries none. Looked up only while the route table allows it.
    Legacy,
}

/// A token that could be ours: its shape and its check are right. It need not be known.
#[derive(Clone, Debug)]
pub struct TokenSecret {
    secret: Secret,
    form: Form,
}

/// Why a string cannot be one of our tokens. The response is 401 `Invalid API Key` in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TokenSyntaxError {
    #[error("does not begin with ntk_")]
    Prefix,
    #[error("has the wrong length")]
    Length,
    #[error("has a character outside its alphabet")]
    Alphabet,
    #[error("fails its check")]
    Check,
}

impl TokenSecret {
    /// Checks shape and, for the current form, the check under any key of the ring.
    pub fn parse(text: &str, keys: &KeyRing) -> Result<Self, TokenSyntaxError> {
        let body = text.strip_prefix(PREFIX).ok_or(TokenSyntaxError::Prefix)?;
        let form = match text.len() {
            CURRENT_LEN => Form::Current,
            SIGNED_LEN => Form::Legacy,
            _ => return Err(TokenSyntaxError::Length),
        };
        let legal = |b: u8| b.is_ascii_alphanumeric() || (form == Form::Legacy && (b == b'-' || b == b'_'));
        if !body.bytes().all(legal) {
            return Err(TokenSyntaxError::Alphabet);
        }
        if form == Form::Current && !is_checked(text, b"", keys) {
            return Err(TokenSyntaxError::Check);
        }
        Ok(Self { secret: Secret::new(text.to_owned()), form })
    }

    /// Returns the form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the hash that the token is looked up under.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.secret.expose())
    }

    /// Returns the plain text, for the one response that shows it.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }

    /// Returns the part that may always be shown: the first 12 and the last 4 characters.
    pub fn hint(&self) -> TokenHint {
        TokenHint::of(&self.secret)
    }
}

/// The part of a secret that the UI shows: `start…end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenHint {
    /// The first 12 characters.
    pub start: String,
    /// The last 4 characters.
    pub end: String,
}

impl TokenHint {
    pub(crate) fn of(secret: &Secret) -> Self {
        let text = secret.expose();
        Self {
            start: text.chars().take(12).collect(),
            end: text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned(),
        }
    }
}

/// Lower-case hex SHA-256 of a whole token: its key in KV and D1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[0-9a-f]{64}$")))]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash(String);

/// A text that is not a token hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token hash is 64 lower-case hexadecimal digits")]
pub struct InvalidTokenHash;

impl TokenHash {
    /// Hashes a whole token.
    pub fn of(text: &str) -> Self {
        Self(hex(&Sha256::digest(text.as_bytes())))
    }

    /// Returns the 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenHash {
    type Err = InvalidTokenHash;

    fn from_str(text: &str) -> Result<Self, InvalidTokenHash> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTokenHash)
        }
    }
}

impl TryFrom<String> for TokenHash {
    type Error = InvalidTokenHash;

    fn try_from(text: String) -> Result<Self, InvalidTokenHash> {
        text.parse()
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(byte: u8) -> KeyRing {
        KeyRing::new(Key256::new([byte; 32]), vec![])
    }

    #[test]
    fn the_format_is_pinned() {
        let token = mint([0xAB; 32], &ring(1)).unwrap();
        assert_eq!(token.expose(), GOLDEN);
        assert_eq!(token.hash().as_str(), GOLDEN_HASH);
        assert_eq!(token.hint(), TokenHint { start: GOLDEN[..12].into(), end: GOLDEN[49..].into() });
    }
    /// Computed independently, from the description at the top of this file.
    const GOLDEN: &str = "ntk_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup7j1abW";
    const GOLDEN_HASH: &str = "9a35f0c7369b8d54823db1faa3914da5e78ed865b6366aa14a9e125b0a5e14b1";

    #[test]
    fn a_token_verifies_under_any_key_of_the_ring() {
        let token = mint([3; 32], &ring(1)).unwrap();
        let rotated = KeyRing::new(Key256::new([2; 32]), vec![Key256::new([1; 32])]);
        assert!(TokenSecret::parse(token.expose(), &rotated).is_ok());
        assert_eq!(TokenSecret::parse(token.expose(), &ring(2)).unwrap_err(), TokenSyntaxError::Check);
    }

    #[test]
    fn a_legacy_token_has_no_check() {
        let text = format!("ntk_{}", "a-_".repeat(14) + "Z");
        assert_eq!(TokenSecret::parse(&text, &ring(1)).unwrap().form(), Form::Legacy);
    }

    #[test]
    fn debug_is_redacted() {
        let token = mint([9; 32], &ring(1)).unwrap();
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    proptest! {
        #[test]
        fn a_minted_token_parses(random: [u8; 32]) {
            let token = mint(random, &ring(5)).unwrap();
            prop_assert_eq!(token.expose().len(), CURRENT_LEN);
            prop_assert!(TokenSecret::parse(token.expose(), &ring(5)).is_ok());
        }

        /// Any string that we did not mint is refused before a lookup, legacy shape aside.
        #[test]
        fn a_forged_token_is_refused(body in "[0-9A-Za-z]{49}") {
            let forged = format!("ntk_{body}");
            prop_assert!(TokenSecret::parse(&forged, &ring(5)).is_err());
        }

        #[test]
        fn any_other_string_is_refused(text in "\\PC{0,80}") {
            if let Ok(token) = TokenSecret::parse(&text, &ring(5)) {
                prop_assert_eq!(token.form(), Form::Legacy);
            }
        }

        #[test]
        fn one_changed_character_is_refused(random: [u8; 32], at in 4_usize..53, to in "[0-9A-Za-z]") {
            let token = mint(random, &ring(5)).unwrap();
            let mut text = token.expose().to_owned();
            text.replace_range(at..=at, &to);
            prop_assert_eq!(TokenSecret::parse(&text, &ring(5)).is_ok(), text == token.expose());
        }
    }
}
