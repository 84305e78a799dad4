//! Paths: a route's own and a request's, and when one lies below another.

use crate::encoding::{from_hex, percent_decode};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::str::FromStr;
use url::Url;

/// The longest path of a route, in bytes.
pub const MAX_PATH_LEN: usize = 200;
/// The path at which the gateway derives tokens. No route can have it.
pub const EXCHANGE_PATH: &str = "/token";
/// The path at which the gateway tells the canary whether it knows its token. No route can have it.
pub const CANARY_PATH: &str = "/health/canary";

/// The path under which a route takes calls, such as `/api/openai`: whole segments, no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(try_from = "String", into = "String")]
pub struct RoutePath(String);

pub use crate::problem::InvalidRoutePath;

impl RoutePath {
    /// Returns the path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the second segment, which a service scope names: `openai` of `/api/openai`.
    pub fn service(&self) -> Option<&str> {
        self.0.split('/').nth(2)
    }
}

impl FromStr for RoutePath {
    type Err = InvalidRoutePath;

    fn from_str(text: &str) -> Result<Self, InvalidRoutePath> {
        let rest = text.strip_prefix('/').filter(|r| !r.is_empty()).ok_or(InvalidRoutePath::Start)?;
        if text.len() > MAX_PATH_LEN {
            return Err(InvalidRoutePath::Length);
        }
        for segment in rest.split('/') {
            if segment.is_empty() || segment == "." || segment == ".." {
                return Err(InvalidRoutePath::Segment);
            }
            if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~')) {
                return Err(InvalidRoutePath::Character);
            }
        }
        if ["/health", EXCHANGE_PATH, CANARY_PATH].contains(&text) {
            return Err(InvalidRoutePath::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RoutePath {
    type Error = InvalidRoutePath;

    fn try_from(text: String) -> Result<Self, InvalidRoutePath> {
        text.parse()
    }
}

impl From<RoutePath> for String {
    fn from(path: RoutePath) -> Self {
        path.0
    }
}

/// A request's path after a URL parser resolved its dot segments, so that what is decided on is
/// what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath(String);

impl RequestPath {
    /// Takes the path of a parsed URL. Unreserved characters that were percent-encoded without need are decoded
    /// (RFC 3986, section 6.2.2.2): `/api/x/%61dmin` is `/api/x/admin`, which may be a route of its own.
    pub fn of(url: &Url) -> Self {
        Self(without_needless_encoding(url.path()).into_owned())
    }

    /// Takes a path that a URL parser would leave as it is; `None` for all others.
    pub(crate) fn plain(path: &str) -> Option<Self> {
        (path.starts_with('/') && is_plain(path)).then(|| Self(path.to_owned()))
    }

    /// Takes the path of an earlier call, which was decided on and recorded in this form. Parsed again, a path such as
    /// `/%%36%31` would become another one.
    pub(crate) fn recorded(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// Parses a bare path, for the tester and for tests. `None` if it does not begin with `/`.
    pub fn parse(path: &str) -> Option<Self> {
        let mut url = Url::parse("http://gateway.invalid/").ok()?;
        path.starts_with('/').then(|| url.set_path(path.split(['?', '#']).next().unwrap_or_default()))?;
        Some(Self::of(&url))
    }

    /// Returns the path's text, as it is decided on and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether one percent-decoding, as many upstreams do it, would reveal a `..` segment.
    pub fn has_encoded_climb(&self) -> bool {
        hides_climb(&self.0)
    }
}

/// Whether a path holds only characters that a URL parser keeps, nothing that is percent-encoded, and no segment that
/// begins with a dot: it is then the same in every reading.
pub(crate) fn is_plain(path: &str) -> bool {
    let is_kept = |b: u8| b.is_ascii_alphanumeric() || b"-_~!$&'()*+,;=:@/.".contains(&b);
    path.bytes().all(is_kept) && !path.contains("/.")
}

fn without_needless_encoding(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut parts = path.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let decoded = part.get(..2).and_then(from_hex);
        match decoded.as_deref() {
            Some([byte]) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                plain.push(char::from(*byte));
                plain.push_str(part.get(2..).unwrap_or_default());
            }
            _ => {
                plain.push('%');
                plain.push_str(part);
            }
        }
    }
    Cow::Owned(plain)
}

/// Whether `path`, percent-decoded once or twice, has a `..` segment, `\` taken as `/`.
/// Twice, because a proxy in front of the upstream may decode before the upstream does. Some servers
/// drop `;parameters` of a segment first, so `..;` climbs too.
pub(crate) fn hides_climb(path: &str) -> bool {
    if !path.contains(['%', ';']) {
        return false;
    }
    let once = percent_decode(path.as_bytes());
    let twice = percent_decode(&once);
    let climbs = |segment: &[u8]| segment == b".." || segment.starts_with(b"..;");
    [once, twice].iter().any(|bytes| bytes.split(|b| matches!(b, b'/' | b'\\')).any(climbs))
}

/// Whether `path` is `prefix` or below it, by whole segments: `/api/image` does not hold `/api/images`.
pub fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_cannot_be_routes() {
        let long = format!("/{}", "x".repeat(200));
        for bad in [
            "",
            "/",
            "api",
            "/a/",
            "/a//b",
            "/a/../b",
            "/a b",
            "/a?b",
            "/a%2Fb",
            "/a*",
            "/health",
            "/token",
            "/health/canary",
            &long,
        ] {
            assert!(bad.parse::<RoutePath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn climbs_hidden_by_encoding_are_seen() {
        for hidden in
            ["/a/..%2fb", "/a/%2e%2e%5Cb", "/a/..%252Fb", "/a/%252e%252e/b", "/a/..;/b", "/a/%2e%2e;x=1/b"]
        {
            assert!(hides_climb(hidden), "{hidden}");
        }
        for plain in ["/a/b;..", "/a/...;/b", "/a/b%2Fc", "/a/..b%2Fc", "/a/100%", "/a/%zz"] {
            assert!(!hides_climb(plain), "{plain}");
        }
    }
}
