//! Tokens from tokens: narrower than their parent, short-lived, and stored nowhere.
//!
//! ```text
//! ntd_ <base64url of the lines below> <43 characters of base64url: the tag>
//! ```
//!
//! The lines are the format's version, the hash of the parent's secret, the end in unix ms, the number of calls (empty is
//! any number), the networks (comma separated), the nonce, and each scope. The tag is HMAC-SHA-256 (RFC 2104) under
//! `DERIVE_KEY` over all characters before it, so a changed character is refused before anything is read. The hash
//! is that of 256 random bits, so it opens nothing; it is the key of the parent's record, which decides as well.

use super::network;
use super::path::RequestPath;
use super::rule::Rule;
use super::scope::Scope;
use crate::encoding::{base64url, from_base64url};
use crate::keys::{Key256, KeyRing};
use crate::mac;
use crate::problem::Denial;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::token::{DERIVED_PREFIX, Form, TokenHash, TokenSecret};
use ipnet::IpNet;
use std::net::IpAddr;
use subtle::{Choice, ConstantTimeEq};

/// The longest derived token, in characters: servers and clients take headers of 8 KB at least.
pub const MAX_LEN: usize = 4_096;
/// The longest life of a derived token, in seconds.
pub const MAX_LIFE_S: i64 = 3_600;
/// Characters of a nonce: 64 random bits in base 62.
pub const NONCE_LEN: usize = 11;

const VERSION: &str = "1";
/// 32 bytes in base64url.
const TAG_LEN: usize = 43;

/// The claims of a derived token. Its parent's record bounds it as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Hash of the parent's secret: the key of its record.
    pub parent: TokenHash,
    /// When it ends, unix ms.
    pub ends_at: UnixMs,
    /// The most calls that it may make; `None` is any number.
    pub calls: Option<u64>,
    /// Networks that may call; empty admits every address that the parent admits.
    pub ip_allow: Vec<IpNet>,
    /// Tells it apart from the parent's other derived tokens.
    pub nonce: String,
    /// The calls that it may make, as far as the parent may make them.
    pub scopes: Vec<Scope>,
}

/// Joins texts.
pub(super) fn joined(texts: impl Iterator<Item = String>, between: &str) -> String {
    let mut all = String::new();
    for text in texts {
        if !all.is_empty() {
            all.push_str(between);
        }
        all.push_str(&text);
    }
    all
}

fn tag_of(signed: &str, key: &Key256) -> Option<String> {
    mac::tag(key.expose(), &[signed.as_bytes()]).map(|tag| base64url(&tag))
}

impl Derived {
    /// Writes the token, signed under the ring's first key. `None` if it would be longer than [`MAX_LEN`].
    pub fn sign(&self, keys: &KeyRing) -> Option<Secret> {
        let ends_at = self.ends_at.to_string();
        let calls = self.calls.map(|calls| calls.to_string()).unwrap_or_default();
        let networks = joined(self.ip_allow.iter().map(ToString::to_string), ",");
        let scopes = joined(self.scopes.iter().map(ToString::to_string), "\n");
        let lines =
            [VERSION, self.parent.as_str(), &ends_at, &calls, &networks, &self.nonce, &scopes].join("\n");
        let mut text = [DERIVED_PREFIX, &base64url(lines.as_bytes())].concat();
        let tag = tag_of(&text, keys.first())?;
        text.push_str(&tag);
        (text.len() <= MAX_LEN).then(|| Secret::new(text))
    }

    /// Reads a token whose tag is right under any key of the ring; `None` for any other text.
    pub fn parse(text: &str, keys: &KeyRing) -> Option<Self> {
        if text.len() > MAX_LEN || !text.starts_with(DERIVED_PREFIX) {
            return None;
        }
        let (signed, tag) = text.split_at_checked(text.len().checked_sub(TAG_LEN)?)?;
        let is_ours = keys.iter().fold(Choice::from(0), |any, key| {
            tag_of(signed, key).map_or(any, |expected| any | expected.as_bytes().ct_eq(tag.as_bytes()))
        });
        if !bool::from(is_ours) {
            return None;
        }
        let lines = from_base64url(signed.strip_prefix(DERIVED_PREFIX)?)?;
        Self::read(&String::from_utf8(lines).ok()?)
    }

    /// Returns the parent that a text claims, unchecked: to find a leaked token's parent, never to let a call in.
    pub fn claimed_parent(text: &str) -> Option<TokenHash> {
        let (signed, _) = text.split_at_checked(text.len().checked_sub(TAG_LEN)?)?;
        let lines = from_base64url(signed.strip_prefix(DERIVED_PREFIX)?)?;
        Self::read(&String::from_utf8(lines).ok()?).map(|derived| derived.parent)
    }

    /// Reads the lines. A scope that this version does not know grants nothing.
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        if lines.next()? != VERSION {
            return None;
        }
        Some(Self {
            parent: lines.next()?.parse().ok()?,
            ends_at: lines.next()?.parse().ok()?,
            calls: Some(lines.next()?).filter(|calls| !calls.is_empty()).map(str::parse).transpose().ok()?,
            ip_allow: lines
                .next()?
                .split(',')
                .filter(|net| !net.is_empty())
                .map(str::parse)
                .collect::<Result<_, _>>()
                .ok()?,
            nonce: lines.next()?.to_owned(),
            scopes: lines.filter_map(|scope| scope.parse().ok()).collect(),
        })
    }

    /// Checks the bounds that depend on no record: its end and its networks.
    ///
    /// # Errors
    /// The reason for which it refuses a call now, from this address.
    pub fn check(&self, client_ip: Option<IpAddr>, now: UnixMs) -> Result<(), Denial> {
        if self.ends_at <= now {
            return Err(Denial::Expired);
        }
        if network::admits(&self.ip_allow, client_ip) { Ok(()) } else { Err(Denial::IpNotAllowed) }
    }

    /// Whether its scopes cover `method` on `path`, which belongs to the route of `rule`.
    pub fn covers(&self, method: &str, path: &RequestPath, rule: &Rule) -> bool {
        self.scopes.iter().any(|scope| scope.covers(method, path, rule))
    }
}

/// A token that a call presents, whose shape and check are right.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// A token that was issued by an admin.
    Token(TokenSecret),
    /// A token that was derived from one.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    Derived { text: Secret, derived: Box<Derived> },
}

impl Bearer {
    /// Checks a text of either kind. Without `derive_keys`, nothing is a derived token.
    pub fn parse(text: &str, check_keys: &KeyRing, derive_keys: Option<&KeyRing>) -> Option<Self> {
        if text.starts_with(DERIVED_PREFIX) {
            let derived = Box::new(Derived::parse(text, derive_keys?)?);
            return Some(Self::Derived { text: Secret::new(text.to_owned()), derived });
        }
        TokenSecret::parse(text, check_keys).ok().map(Self::Token)
    }

    /// Returns the hash under which the record that decides is looked up.
    pub fn hash(&self) -> TokenHash {
        match self {
            Self::Token(token) => token.hash(),
            Self::Derived { derived, .. } => derived.parent.clone(),
        }
    }

    /// Returns the form. A derived token has a check, whatever its parent's form.
    pub fn form(&self) -> Form {
        match self {
            Self::Token(token) => token.form(),
            Self::Derived { .. } => Form::Current,
        }
    }

    /// Returns the plain text, for the search that keeps it from going on.
    pub fn expose(&self) -> &str {
        match self {
            Self::Token(token) => token.expose(),
            Self::Derived { text, .. } => text.expose(),
        }
    }

    /// Returns the claims of a derived token.
    pub fn derived(&self) -> Option<&Derived> {
        match self {
            Self::Token(_) => None,
            Self::Derived { derived, .. } => Some(derived),
        }
    }
}

#[cfg(test)]
mod tests;
