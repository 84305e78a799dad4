//! The upstream's URL, and the way back: `Location` and `Set-Cookie`.
//!
//! URLs are built by a URL parser and never by joining strings; scheme, host and port are compared
//! with the configured ones before any credential is attached.

pub mod address;
pub mod behaviour;
pub mod breaker;
pub mod cors;
pub mod fault;
pub mod headers;
pub mod said;
pub mod settings;
pub mod target;

use crate::access::path::{RequestPath, RoutePath, hides_climb, is_plain, is_under};
use crate::upstream::address::UpstreamUrl;
use url::Url;

pub use crate::problem::BuildError;

/// An upstream as clients see it: under the path of a route.
#[derive(Clone, Copy, Debug)]
pub struct Mount<'a> {
    /// The path that clients call.
    pub path: &'a RoutePath,
    /// The address that it stands for.
    pub upstream: &'a UpstreamUrl,
}

/// Builds the upstream URL of a request: base, remainder, query untouched.
/// `//`, `%2F` and slashes at the end of the remainder are kept.
pub fn build_url(mount: Mount<'_>, path: &RequestPath, query: Option<&str>) -> Result<Url, BuildError> {
    let remainder = path.as_str().strip_prefix(mount.path.as_str()).ok_or(BuildError::Climbs)?;
    if hides_climb(remainder) {
        return Err(BuildError::Climbs);
    }
    let mut url = mount.upstream.as_url().clone();
    if !remainder.is_empty() {
        let joined = format!("{}{remainder}", mount.upstream.base_path());
        url.set_path(&joined);
    }
    url.set_query(query);
    if url.origin() != mount.upstream.as_url().origin() {
        return Err(BuildError::LeavesOrigin);
    }
    if !is_under(url.path(), mount.upstream.base_path()) {
        return Err(BuildError::Climbs);
    }
    Ok(url)
}

/// Returns the same as [`build_url`], as text. Most paths are plain, and need no parser.
pub fn upstream_url(mount: Mount<'_>, path: &RequestPath, query: Option<&str>) -> Result<String, BuildError> {
    match plain_url(mount, path, query) {
        Some(url) => Ok(url),
        None => build_url(mount, path, query).map(Into::into),
    }
}

fn plain_url(mount: Mount<'_>, path: &RequestPath, query: Option<&str>) -> Option<String> {
    let remainder = path.as_str().strip_prefix(mount.path.as_str())?;
    let is_below = remainder.starts_with('/') && is_plain(remainder) && !remainder.contains(';');
    let query = query.map_or(Some(""), |query| Some(query).filter(|query| is_plain_query(query)))?;
    is_below.then(|| {
        let base = mount.upstream.as_str().trim_end_matches('/');
        let mark = if query.is_empty() { "" } else { "?" };
        [base, remainder, mark, query].concat()
    })
}

/// Whether a query holds only characters that a URL parser keeps, and is not empty.
pub(crate) fn is_plain_query(query: &str) -> bool {
    let is_kept = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'#' | b'<' | b'>' | b'\'');
    !query.is_empty() && query.bytes().all(is_kept)
}

/// Returns the query without any `parameter` that the client sent, so that it holds the credential alone. All other
/// pairs keep their text.
pub fn without_parameter(query: &str, parameter: &str) -> Option<String> {
    filter_query(query, |name, _| !name.eq_ignore_ascii_case(parameter))
}

/// Returns the pairs of a query that `keeps` accepts by name (decoded) and text (as it is); `None` if none is left.
pub fn filter_query(query: &str, keeps: impl Fn(&str, &str) -> bool) -> Option<String> {
    let is_kept =
        |pair: &&str| !url::form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| !keeps(&name, pair));
    let rest: Vec<&str> = query.split('&').filter(is_kept).collect();
    (!rest.is_empty()).then(|| rest.join("&"))
}

/// Returns an address of any form without the pairs of its query that `is_out` names.
pub fn without_pairs(address: &str, is_out: impl Fn(&str, &str) -> bool) -> String {
    let (rest, fragment) = address.split_once('#').map_or((address, None), |(r, f)| (r, Some(f)));
    let Some((path, query)) = rest.split_once('?') else { return address.to_owned() };
    let mut cleaned = path.to_owned();
    if let Some(query) = filter_query(query, |name, pair| !is_out(name, pair)) {
        cleaned.push('?');
        cleaned.push_str(&query);
    } else if path.is_empty() {
        // `?` alone is the same path without a query; an empty address would keep the client's query.
        cleaned.push('?');
    }
    if let Some(fragment) = fragment {
        cleaned.push('#');
        cleaned.push_str(fragment);
    }
    cleaned
}

/// Returns `Location` as the client must see it; `None` if it stays as it is.
///
/// An address below the upstream's base path is mapped to the gateway's origin and the route's path. One elsewhere on
/// the upstream's origin is given in full, since as a bare path it would name something on the gateway. A relative path
/// is resolved first: on the gateway it could climb to another route. Other origins are left alone.
pub fn map_location(location: &str, sent_to: &Url, mount: Mount<'_>, gateway_origin: &str) -> Option<String> {
    let location = location.trim();
    let target = sent_to.join(location).ok()?;
    if target.origin() != mount.upstream.as_url().origin() {
        return None;
    }
    let base = mount.upstream.base_path();
    if !is_under(target.path(), base) {
        return Some(target.into());
    }
    let rest = target.path().strip_prefix(base)?;
    // A base of `/` leaves the whole path, whose bare `/` is the route itself.
    let rest = if rest == "/" && base.is_empty() && !location.ends_with('/') { "" } else { rest };
    let query = target.query().map(|q| format!("?{q}")).unwrap_or_default();
    let fragment = target.fragment().map(|f| format!("#{f}")).unwrap_or_default();
    Some(format!("{gateway_origin}{}{rest}{query}{fragment}", mount.path.as_str()))
}

/// Browsers take a cookie of this prefix only with `Path=/` (RFC 6265bis, section 4.1.3), which would
/// send it to every route; narrowed, it goes by this name behind [`RENAMED`]. Covers `__Host-Http-`.
const HOST_PREFIX: &str = "__Host-";
const RENAMED: &str = "__Secure-";

fn is_host_cookie(name: &str) -> bool {
    name.get(..HOST_PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(HOST_PREFIX))
}

/// Returns one `Set-Cookie` as the client must see it: `Domain` dropped, `Path` mapped to the route's or set to
/// it, and `__Host-` renamed, which [`restore_cookies`] undoes.
/// All other attributes keep their text and order (RFC 6265, section 4.1.1).
pub fn map_set_cookie(cookie: &str, mount: Mount<'_>) -> String {
    let mut parts = cookie.split(';');
    let pair = parts.next().unwrap_or_default();
    let mut mapped = String::with_capacity(cookie.len() + 32);
    if is_host_cookie(pair.trim_start()) {
        mapped.push_str(RENAMED);
        mapped.push_str(pair.trim_start());
    } else {
        mapped.push_str(pair);
    }
    let mut has_path = false;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("domain") {
            continue;
        }
        mapped.push(';');
        if name.eq_ignore_ascii_case("path") {
            has_path = true;
            mapped.push_str(" Path=");
            mapped.push_str(&map_cookie_path(value.trim(), mount));
        } else {
            mapped.push_str(part);
        }
    }
    if !has_path {
        // The default would be the directory above, which other routes share.
        mapped.push_str("; Path=");
        mapped.push_str(mount.path.as_str());
    }
    mapped
}

/// Returns the client's `Cookie` with the names that the upstream gave, less the pairs that `is_out` names;
/// `None` if none are left.
pub fn restore_cookies(cookies: &str, is_out: impl Fn(&str) -> bool) -> Option<String> {
    let original = |pair: &str| {
        let bare = pair.strip_prefix(RENAMED).filter(|bare| is_host_cookie(bare));
        bare.unwrap_or(pair).to_owned()
    };
    let rest: Vec<String> =
        cookies.split(';').map(str::trim).filter(|pair| !is_out(pair)).map(original).collect();
    (!rest.is_empty()).then(|| rest.join("; "))
}

/// A path outside the base (or above it, such as `/`) becomes the route's own path: the cookie
/// then reaches all of the route and nothing but the route.
fn map_cookie_path(path: &str, mount: Mount<'_>) -> String {
    let base = mount.upstream.base_path();
    match path.strip_prefix(base) {
        Some(rest) if rest.starts_with('/') && rest != "/" => {
            format!("{}{rest}", mount.path.as_str())
        }
        _ => mount.path.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
