//! The token: its form, its keyed check, the key it is looked up under.
//!
//! ```text
//! ntk_ <43 base62 characters, 256 random bits> <6 base62 characters of check>   53 in all
//! ntk_ <43 base64url characters>                                                47 in all, legacy
//! ```
//!
//! The check is the head of HMAC-SHA-256 (RFC 2104) under `TOKEN_CHECK_KEY` over what stands before
//! it. A forger meets it once in 62^6 ≈ 5.7e10 tries, so forged tokens cost no KV read.

use crate::headers::holds_token;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::vars::{Key256, KeyRing};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::str::FromStr;
use subtle::{Choice, ConstantTimeEq};

pub const PREFIX: &str = "ntk_";
const BODY_LEN: usize = 43;
const CHECK_LEN: usize = 6;
pub(crate) const SIGNED_LEN: usize = PREFIX.len() + BODY_LEN;
const CURRENT_LEN: usize = SIGNED_LEN + CHECK_LEN;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The default and the longest time that an old secret goes on working after a rotation.
pub const DEFAULT_GRACE_MS: UnixMs = 24 * crate::time::HOUR_MS;
pub const MAX_GRACE_MS: UnixMs = 30 * crate::time::DAY_MS;

/// `bytes` as a big-endian number in base 62, exactly `width` characters (the lowest ones).
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

fn check_of(signed: &[u8], key: &Key256) -> Option<String> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.expose()).ok()?;
    mac.update(signed);
    let tag = mac.finalize().into_bytes();
    tag.get(..8).map(|head| base62(head, CHECK_LEN))
}

/// Mints a token from 32 bytes of a CSPRNG, checked under the ring's first key.
///
/// `None` only if HMAC refused a 32-byte key, which it does not.
pub fn mint(random: [u8; 32], keys: &KeyRing) -> Option<TokenSecret> {
    let mut text = format!("{PREFIX}{}", base62(&random, BODY_LEN));
    let check = check_of(text.as_bytes(), keys.first())?;
    text.push_str(&check);
    Some(TokenSecret { secret: Secret::new(text), form: Form::Current })
}

/// Which of the two forms a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Carries a check under `TOKEN_CHECK_KEY`.
    Current,
    /// From the earlier system; carries none. Looked up only while the route table allows it.
    Legacy,
}

/// A token that could be ours: shape and check hold. Whether it is known is another question.
#[derive(Clone, Debug)]
pub struct TokenSecret {
    secret: Secret,
    form: Form,
}

/// Why a string cannot be one of our tokens. All answer 401 `Invalid API Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
        if form == Form::Current {
            let (signed, check) = text.split_at(SIGNED_LEN);
            let matches = keys.iter().fold(Choice::from(0), |any, key| {
                check_of(signed.as_bytes(), key)
                    .map_or(any, |expected| any | expected.as_bytes().ct_eq(check.as_bytes()))
            });
            if !bool::from(matches) {
                return Err(TokenSyntaxError::Check);
            }
        }
        Ok(Self { secret: Secret::new(text.to_owned()), form })
    }

    pub fn form(&self) -> Form {
        self.form
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.secret.expose())
    }

    /// The plain text, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }

    /// What may be shown ever after: the first 12 and the last 4 characters.
    pub fn hint(&self) -> TokenHint {
        let text = self.secret.expose();
        TokenHint {
            start: text.chars().take(12).collect(),
            end: text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned(),
        }
    }
}

/// What the UI shows of a secret: `start…end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenHint {
    pub start: String,
    pub end: String,
}

/// Lower-case hex SHA-256 of a whole token: its key in KV and D1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[0-9a-f]{64}$")))]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token hash is 64 lower-case hexadecimal digits")]
pub struct InvalidTokenHash;

impl TokenHash {
    fn of(text: &str) -> Self {
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(text.as_bytes()) {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }

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

/// The header that held our token. It is removed before the call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    XApiKey,
    Authorization,
    ApiKey,
    XGoogApiKey,
    /// A browser's WebSocket can send no other header.
    WebSocketProtocol,
}

impl Carrier {
    /// In the order in which they are looked at.
    pub const ALL: [Self; 5] =
        [Self::XApiKey, Self::Authorization, Self::ApiKey, Self::XGoogApiKey, Self::WebSocketProtocol];

    /// The header's name in lower case.
    pub fn header(self) -> &'static str {
        match self {
            Self::XApiKey => "x-api-key",
            Self::Authorization => "authorization",
            Self::ApiKey => "api-key",
            Self::XGoogApiKey => "x-goog-api-key",
            Self::WebSocketProtocol => "sec-websocket-protocol",
        }
    }

    /// The token in this header's value. `X-API-Key` is always ours; the others only when what
    /// they hold begins with `ntk_`, because vendors' own clients send other things there too.
    pub fn token_in(self, value: &str) -> Option<&str> {
        match self {
            Self::XApiKey => Some(value.trim()).filter(|v| !v.is_empty()),
            Self::Authorization => {
                let (scheme, token) = value.trim().split_once(' ')?;
                let token = token.trim();
                if scheme.eq_ignore_ascii_case(SIGV4_SCHEME) {
                    return token_in_signature(token);
                }
                (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(PREFIX)).then_some(token)
            }
            Self::ApiKey | Self::XGoogApiKey => Some(value.trim()).filter(|v| v.starts_with(PREFIX)),
            Self::WebSocketProtocol => value.split(',').find_map(token_in_protocol),
        }
    }
}

/// Why none of a call's headers names a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPresented {
    /// No carrier holds anything that is meant for us.
    Missing,
    /// What is meant for us is no token of ours.
    Invalid,
}

/// The token that a call presents, and the header that held it.
///
/// Clients send keys of several services at once, so every carrier is looked at until one holds a token
/// whose check holds; a legacy one, which has no check, counts only if there is none. The first found
/// decides: one that has expired or was revoked is refused and no other tried in its place, so that
/// nobody goes on with a token other than the one they believe to be using.
pub fn presented(
    header: impl Fn(&str) -> Option<String>,
    keys: &KeyRing,
) -> Result<(Carrier, TokenSecret), NotPresented> {
    let mut refused = NotPresented::Missing;
    let mut legacy = None;
    for carrier in Carrier::ALL {
        let Some(value) = header(carrier.header()) else { continue };
        let Some(text) = carrier.token_in(&value) else { continue };
        match TokenSecret::parse(text, keys) {
            Ok(token) if token.form() == Form::Current => return Ok((carrier, token)),
            Ok(token) => legacy = legacy.or(Some((carrier, token))),
            Err(_) => refused = NotPresented::Invalid,
        }
    }
    legacy.ok_or(refused)
}

const SIGV4_SCHEME: &str = "AWS4-HMAC-SHA256";

/// The token that a client of AWS has as its access key id. The signature itself is not looked at: the
/// token's check says more than it could.
fn token_in_signature(parameters: &str) -> Option<&str> {
    let credential = parameters.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split('/').next().filter(|id| id.starts_with(PREFIX))
}

/// The token in one offered protocol: alone, or after a vendor's prefix as `OpenAI`'s clients write it,
/// `openai-insecure-api-key.ntk_…`.
fn token_in_protocol(protocol: &str) -> Option<&str> {
    let last = protocol.trim().rsplit('.').next().unwrap_or_default();
    last.starts_with(PREFIX).then_some(last)
}

/// How `OpenAI`'s clients send a key as an offered protocol.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// The protocols that go on to the upstream: those offered without a token, and without any other key
/// if the route `has_credential`.
pub fn protocols_without_token(offered: &str, has_credential: bool) -> Option<String> {
    let is_key = |protocol: &str| has_credential && protocol.starts_with(KEY_PROTOCOL);
    let rest: Vec<&str> = offered
        .split(',')
        .map(str::trim)
        .filter(|p| !holds_token(p) && !is_key(p) && !p.is_empty())
        .collect();
    (!rest.is_empty()).then(|| rest.join(", "))
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

    #[test]
    fn carriers_take_only_what_is_ours() {
        assert_eq!(Carrier::XApiKey.token_in(" anything "), Some("anything"));
        assert_eq!(Carrier::XApiKey.token_in(" "), None);
        assert_eq!(Carrier::Authorization.token_in("bearer  ntk_x"), Some("ntk_x"));
        assert_eq!(Carrier::Authorization.token_in("Bearer sk-x"), None);
        assert_eq!(Carrier::Authorization.token_in("Basic ntk_x"), None);
        let signed = |id| {
            format!(
                "AWS4-HMAC-SHA256 Credential={id}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=ab"
            )
        };
        assert_eq!(Carrier::Authorization.token_in(&signed("ntk_x")), Some("ntk_x"));
        assert_eq!(Carrier::Authorization.token_in(&signed("AKIDEXAMPLE")), None);
        assert_eq!(Carrier::ApiKey.token_in("ntk_x"), Some("ntk_x"));
        assert_eq!(Carrier::XGoogApiKey.token_in("AIza"), None);
        let offered = "realtime, openai-insecure-api-key.ntk_x, openai-beta.realtime-v1";
        assert_eq!(Carrier::WebSocketProtocol.token_in(offered), Some("ntk_x"));
        assert_eq!(Carrier::WebSocketProtocol.token_in("chat, ntk_x"), Some("ntk_x"));
        assert_eq!(Carrier::WebSocketProtocol.token_in("realtime"), None);
        let rest = |offered, has_credential| protocols_without_token(offered, has_credential);
        assert_eq!(rest(offered, false).as_deref(), Some("realtime, openai-beta.realtime-v1"));
        assert_eq!(rest("ntk_x", false), None);
        assert_eq!(rest("a, openai-insecure-api-key.sk-own", true).as_deref(), Some("a"));
        assert_eq!(
            rest("openai-insecure-api-key.sk-own", false).as_deref(),
            Some("openai-insecure-api-key.sk-own")
        );
    }

    /// Claude Code sends a stale `X-API-Key` beside a good bearer.
    #[test]
    fn every_carrier_is_looked_at_until_one_holds_a_token_of_ours() {
        let (a, b) = (mint([1; 32], &ring(1)).unwrap(), mint([2; 32], &ring(1)).unwrap());
        let foreign = mint([3; 32], &ring(9)).unwrap();
        let legacy = format!("ntk_{}", "x".repeat(43));
        let bearer = |token: &str| format!("Bearer {token}");
        let found = |headers: &[(&str, &str)]| {
            let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            presented(header, &ring(1)).map(|(carrier, token)| (carrier, token.expose().to_owned()))
        };
        let good = bearer(a.expose());
        let ours = Ok((Carrier::Authorization, a.expose().to_owned()));
        for stale in ["sk-ant-x", "", foreign.expose(), "ntk_short", &legacy] {
            assert_eq!(found(&[("x-api-key", stale), ("authorization", &good)]), ours, "{stale}");
        }
        let first = Ok((Carrier::XApiKey, b.expose().to_owned()));
        assert_eq!(found(&[("x-api-key", b.expose()), ("authorization", &good)]), first, "the first of two");
        assert_eq!(found(&[("x-api-key", &legacy)]), Ok((Carrier::XApiKey, legacy.clone())));
        assert_eq!(found(&[("x-api-key", "sk-x")]), Err(NotPresented::Invalid));
        assert_eq!(
            found(&[("authorization", "Bearer sk-x"), ("api-key", "own")]),
            Err(NotPresented::Missing)
        );
    }

    proptest! {
        #[test]
        fn what_is_minted_parses(random: [u8; 32]) {
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
