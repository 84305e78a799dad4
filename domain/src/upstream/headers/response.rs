//! Response headers: one table says how each reaches the client.
//!
//! Whatever the table says, a header that holds the route's credential in any encoding is withheld.

use super::search::Guarded;
use super::{HOP_BY_HOP, REQUEST_ID};
use crate::upstream::{Mount, map_location, map_set_cookie, without_pairs};
use url::Url;

/// The upstream's own request id: its support asks for it.
pub const UPSTREAM_REQUEST_ID: &str = "x-upstream-request-id";

/// Other names of such an id: Anthropic's, those of AWS, Azure and Google, and what gateways of vendors send.
const REQUEST_IDS: [&str; 8] = [
    "request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-goog-request-id",
    "x-correlation-id",
    "cf-ray",
];

/// The fate of a response header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Handed on.
    Keep,
    /// Ends at the gateway.
    Drop,
    /// Handed on under another name, since the gateway sends its own under this one.
    Rename(&'static str),
    /// Handed on, with the gateway's own members after the upstream's.
    Join,
    /// One address, mapped to the gateway if it leads into the route's upstream.
    Address,
    /// One address, as [`Fate::Address`]; a relative one is left, since nothing says what it is relative to.
    AbsoluteAddress,
    /// `<address>; parameters, …` (RFC 8288).
    Link,
    /// `seconds; url=address` (HTML, section 4.2.5.3).
    Refresh,
    /// `Set-Cookie`, narrowed to the route.
    Cookie,
}

/// Exact names; [`fate`] adds what follows from a prefix or an ending.
const TABLE: [(&str, Fate); 24] = [
    ("location", Fate::Address),
    ("content-location", Fate::Address),
    ("azure-asyncoperation", Fate::Address),
    ("operation-location", Fate::Address),
    ("link", Fate::Link),
    ("refresh", Fate::Refresh),
    ("set-cookie", Fate::Cookie),
    (REQUEST_ID, Fate::Rename(UPSTREAM_REQUEST_ID)),
    (super::SERVER_TIMING, Fate::Join),
    ("vary", Fate::Join),
    // Joined in `join_limits`, if the token has limits at all.
    (RATE_LIMIT, Fate::Join),
    (RATE_LIMIT_POLICY, Fate::Join),
    ("set-cookie2", Fate::Drop),
    // These apply to a whole origin, and the gateway's origin is not the upstream's.
    ("alt-svc", Fate::Drop),
    ("clear-site-data", Fate::Drop),
    ("expect-ct", Fate::Drop),
    ("nel", Fate::Drop),
    ("report-to", Fate::Drop),
    ("public-key-pins", Fate::Drop),
    ("public-key-pins-report-only", Fate::Drop),
    ("service-worker-allowed", Fate::Drop),
    ("strict-transport-security", Fate::Drop),
    // Our own marks, which belong in requests only.
    (super::LOOP_MARK, Fate::Drop),
    (crate::upstream::fault::FAULT, Fate::Drop),
];

/// Endings of headers that hold an address, such as `x-goog-upload-url`.
const ADDRESS_ENDINGS: [&str; 4] = ["-location", "-url", "-uri", "-redirect"];

/// Returns the fate of the response header `name` (lower case).
pub fn fate(name: &str) -> Fate {
    if let Some((_, fate)) = TABLE.iter().find(|(known, _)| *known == name) {
        return *fate;
    }
    // The route decides which browsers may read a response, not the upstream.
    if HOP_BY_HOP.contains(&name) || name.starts_with("access-control-") {
        Fate::Drop
    } else if ADDRESS_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        Fate::AbsoluteAddress
    } else {
        Fate::Keep
    }
}

/// Facts about a call that decide on its response's headers.
#[derive(Clone, Copy, Debug)]
pub struct Returning<'a> {
    /// The upstream that responded, under the route's path.
    pub mount: Mount<'a>,
    /// The address that was called, without its credential.
    pub sent_to: &'a str,
    /// The gateway's origin as the client knows it.
    pub gateway: &'a str,
    /// The id that the gateway gave the call.
    pub request_id: &'a str,
    /// The credential that went with the call.
    pub guarded: &'a Guarded,
    /// The query's parameter that held it.
    pub parameter: Option<&'a str>,
}

/// A change to the headers, to be carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Takes every header of this name out.
    Delete(String),
    /// Sets a header, by name and value.
    Set(String, String),
    /// Adds a header, by name and value, beside those of its name.
    Append(String, String),
}

/// The changes that turn an upstream's headers into the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The changes, in the order in which they are carried out.
    pub edits: Vec<Edit>,
    /// Names of headers that held the credential and are withheld.
    pub withheld: Vec<String>,
}

impl Returning<'_> {
    /// Returns the changes to `headers`: names in lower case, each `Set-Cookie` by itself.
    pub fn edits(&self, headers: &[(String, String)]) -> Edits {
        let mut done = Edits::default();
        let mut cookies = Vec::new();
        for (name, value) in headers {
            let fate = fate(name);
            if fate == Fate::Cookie {
                cookies.push(value);
                continue;
            }
            let mapped = match fate {
                Fate::Drop => {
                    done.edits.push(Edit::Delete(name.clone()));
                    continue;
                }
                Fate::Address => self.address(value, true),
                Fate::AbsoluteAddress => self.address(value, false),
                Fate::Link => map_links(value, |target| self.address(target, true)),
                Fate::Refresh => map_refresh(value, |target| self.address(target, true)),
                Fate::Keep | Fate::Join | Fate::Rename(_) | Fate::Cookie => None,
            };
            if self.guarded.are_in(mapped.as_deref().unwrap_or(value)) {
                done.edits.push(Edit::Delete(name.clone()));
                done.withheld.push(name.clone());
            } else if let Fate::Rename(other) = fate {
                done.edits.push(Edit::Delete(name.clone()));
                // An upstream that returns our id, or is a gateway itself, adds nothing.
                if value != self.request_id {
                    done.edits.push(Edit::Append(other.to_owned(), value.clone()));
                }
            } else if let Some(mapped) = mapped {
                done.edits.push(Edit::Set(name.clone(), mapped));
            }
        }
        self.cookies(&cookies, &mut done);
        self.tell_request_id(headers, &mut done);
        done
    }

    /// Tells the upstream's request id under one name, whatever name it has there.
    fn tell_request_id(&self, headers: &[(String, String)], done: &mut Edits) {
        let is_told = |name: &str| matches!(name, REQUEST_ID | UPSTREAM_REQUEST_ID);
        if headers.iter().any(|(name, _)| is_told(name)) {
            return;
        }
        let named = |wanted: &&str| headers.iter().find(|(name, _)| name == wanted);
        let found = REQUEST_IDS.iter().find_map(named).filter(|(name, _)| !done.withheld.contains(name));
        if let Some((_, value)) = found.filter(|(_, value)| !value.is_empty() && value != self.request_id) {
            done.edits.push(Edit::Append(UPSTREAM_REQUEST_ID.to_owned(), value.clone()));
        }
    }

    fn cookies(&self, cookies: &[&String], done: &mut Edits) {
        if cookies.is_empty() {
            return;
        }
        let name = || "set-cookie".to_owned();
        done.edits.push(Edit::Delete(name()));
        for cookie in cookies {
            if self.guarded.are_in(cookie) {
                done.withheld.push(name());
            } else {
                done.edits.push(Edit::Append(name(), map_set_cookie(cookie, self.mount)));
            }
        }
    }

    /// Returns an address as the client must see it; `None` if it stays as it is.
    fn address(&self, address: &str, may_be_relative: bool) -> Option<String> {
        let sent_to = Url::parse(self.sent_to).ok()?;
        let target = sent_to.join(address.trim()).ok();
        if !may_be_relative && Url::parse(address.trim()).is_err() {
            return None;
        }
        let is_ours = target.is_some_and(|target| target.origin() == self.mount.upstream.as_url().origin());
        let parameter = self.parameter.filter(|_| is_ours);
        let cleaned = without_pairs(address, |name, pair| {
            parameter.is_some_and(|parameter| name.eq_ignore_ascii_case(parameter))
                || self.guarded.are_in(pair)
        });
        let mapped = map_location(&cleaned, &sent_to, self.mount, self.gateway).unwrap_or(cleaned);
        (mapped != address).then_some(mapped)
    }
}

/// Returns `value` with each `<target>` mapped; `None` if none changes.
fn map_links(value: &str, map: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut mapped = String::with_capacity(value.len());
    let mut rest = value;
    let mut has_changed = false;
    // Between links there are parameters, whose quoted values may hold anything.
    while let Some(at) = outside_quotes(rest, '<') {
        let (before, from) = rest.split_at(at + 1);
        let Some((target, after)) = from.split_once('>') else { break };
        let changed = map(target);
        has_changed |= changed.is_some();
        mapped.push_str(before);
        mapped.push_str(changed.as_deref().unwrap_or(target));
        mapped.push('>');
        rest = after;
    }
    mapped.push_str(rest);
    has_changed.then_some(mapped)
}

fn outside_quotes(text: &str, wanted: char) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.char_indices().find_map(|(at, c)| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return (c == wanted && !is_quoted).then_some(at),
        }
        None
    })
}

fn map_refresh(value: &str, map: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (seconds, rest) = value.split_once([';', ','])?;
    let rest = rest.trim();
    let is_named = rest.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("url"));
    let named = rest.get(3..).filter(|_| is_named).and_then(|rest| rest.trim_start().strip_prefix('='));
    let target = named.unwrap_or(rest).trim().trim_matches(['"', '\'']);
    map(target).map(|mapped| format!("{}; url={mapped}", seconds.trim()))
}

/// The header that tells what remains of each limit.
pub const RATE_LIMIT: &str = "ratelimit";
/// The header that tells the limits.
pub const RATE_LIMIT_POLICY: &str = "ratelimit-policy";

/// Returns the name under which an upstream's `RateLimit` or `RateLimit-Policy` is sent beside `ours`.
///
/// Both are lists of quoted names with parameters (draft-ietf-httpapi-ratelimit-headers), so they are joined under
/// one name. The upstream's gets a name of its own if it is in an earlier draft's form, which is not such a list, or
/// if both lists use one name, which would be ambiguous.
pub fn name_beside(name: &'static str, theirs: &str, ours: &str) -> &'static str {
    fn names(list: &str) -> impl Iterator<Item = &str> {
        list.split('"').skip(1).step_by(2)
    }
    let can_join =
        theirs.trim_start().starts_with('"') && !names(theirs).any(|name| names(ours).any(|own| own == name));
    match name {
        _ if can_join => name,
        RATE_LIMIT => "x-upstream-ratelimit",
        _ => "x-upstream-ratelimit-policy",
    }
}

#[cfg(test)]
mod tests;
