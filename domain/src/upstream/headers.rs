//! Header hygiene: which request headers go on to an upstream, which a credential may set, and in [`response`] how
//! the upstream's headers reach the client. The gateway only carries out what is decided here.

pub mod response;
pub mod search;

use crate::access::carrier::holds_token;
use crate::access::carrier::{Carrier, protocols_without_token};
use crate::token::begins_as_ours;
use crate::upstream::{filter_query, restore_cookies};
use search::Guarded;

/// Hop-by-hop headers (RFC 9110, section 7.6.1, and the older list of RFC 2616, section 13.5.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Prefixes of headers in which the platform or another proxy describes the client. The upstream need not know, and
/// a client could forge them.
const DROPPED_PREFIXES: [&str; 2] = ["cf-", "x-forwarded-"];
const DROPPED: [&str; 8] = [
    "x-real-ip",
    "true-client-ip",
    "forwarded",
    "cdn-loop",
    "host",
    REQUEST_ID,
    crate::upstream::fault::FAULT,
    WORKFLOW,
];

/// Headers that some upstreams obey instead of the method and path that were decided on.
const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// The header that carries a call's id.
pub const REQUEST_ID: &str = "x-request-id";
/// The request header that carries a call's label (`crate::usage::label`). No upstream sees it.
pub const WORKFLOW: &str = "x-workflow";
/// The header that tells the gateway's and the upstream's time (W3C Server Timing).
pub const SERVER_TIMING: &str = "server-timing";
/// The names of the gateways that a call has passed, on every upstream call: RFC 8586's idea under a
/// name of our own, since Cloudflare keeps `CDN-Loop` for itself.
pub const LOOP_MARK: &str = "x-token-manager-hop";
/// The most gateways in a row. Ends a loop through addresses of one gateway that do not know each other.
const MAX_HOPS: usize = 4;

/// Returns the mark that the gateway at `own` sends on; `None` if the call has been here before (508).
///
/// A staging gateway behind the production one is not a loop. `1` is the mark of earlier versions and of the API's
/// route test, which do not name a gateway.
pub fn next_hop(mark: Option<&str>, own: &str) -> Option<String> {
    let Some(mark) = mark else { return Some(own.to_owned()) };
    let hops: Vec<&str> = mark.split(',').map(str::trim).collect();
    let is_loop =
        hops.len() >= MAX_HOPS || hops.iter().any(|hop| *hop == "1" || hop.eq_ignore_ascii_case(own));
    (!is_loop).then(|| format!("{}, {own}", hops.join(", ")))
}

/// Headers in which a client may send a key. On a route with a credential they are dropped, since the upstream might
/// accept the client's key instead.
pub(super) const KEY_HEADERS: [&str; 5] =
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-amz-security-token"];

/// Headers that a browser adds by itself. They are dropped if the gateway decides on CORS: Anthropic, for one,
/// refuses a call that has an `Origin`.
const BROWSER: [&str; 5] = ["origin", "referer", "upgrade-insecure-requests", "dnt", "sec-gpc"];
const BROWSER_PREFIXES: [&str; 3] = ["sec-fetch-", "sec-ch-", "access-control-request-"];

/// Facts about a request and its route that decide on the request's headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestHygiene<'a> {
    /// The header that held our token.
    pub carrier: Option<Carrier>,
    /// The value of `Connection`, whose members are hop-by-hop too.
    pub connection: Option<&'a str>,
    /// Whether the route forwards `Cookie`.
    pub forward_cookies: bool,
    /// Whether the route has a credential of its own.
    pub has_credential: bool,
    /// Whether the gateway decides on CORS for this route. If it does not, these headers go on as the client sends
    /// them: a key may be bound to a `Referer`, a web socket to an `Origin`.
    pub answers_cors: bool,
}

impl RequestHygiene<'_> {
    /// Whether the request header `name` (lower case) goes on to the upstream.
    pub fn forwards(&self, name: &str) -> bool {
        let starts_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        !(HOP_BY_HOP.contains(&name)
            || DROPPED.contains(&name)
            || OVERRIDES.contains(&name)
            || starts_with(&DROPPED_PREFIXES)
            || self.carrier.is_some_and(|carrier| carrier.header() == name)
            || (self.has_credential && KEY_HEADERS.contains(&name))
            || (self.answers_cors && (BROWSER.contains(&name) || starts_with(&BROWSER_PREFIXES)))
            || (name == "cookie" && !self.forward_cookies)
            || self
                .connection
                .is_some_and(|list| list.split(',').any(|n| n.trim().eq_ignore_ascii_case(name))))
    }

    /// Returns the headers that do not go on unchanged, each with the value that replaces it; `None` drops it.
    /// `presented` is the call's own token, which is never sent on.
    pub fn edits<'h>(
        &self,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
        presented: &Guarded,
    ) -> Vec<(&'h str, Option<String>)> {
        let is_token = |text: &str| holds_token(text) || presented.are_in(text);
        let edit = |(name, value): (&'h str, &'h str)| {
            let kept = match name {
                // It lists several protocols, one of which is our token.
                "sec-websocket-protocol" => protocols_without_token(value, self.has_credential),
                _ if !self.forwards(name) => None,
                "cookie" => restore_cookies(value, is_token),
                _ => return is_token(value).then_some((name, None)),
            };
            (kept.as_deref() != Some(value)).then_some((name, kept))
        };
        headers.filter_map(edit).collect()
    }
}

/// Returns the query without pairs that hold one of our tokens; `None` if nothing is left.
pub fn query_without_token(query: &str, presented: &Guarded) -> Option<String> {
    filter_query(query, |_, pair| !holds_token(pair) && !presented.are_in(pair))
}

/// Whether a credential may set the header `name`.
pub fn is_settable(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_token = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    is_token
        && !matches!(lower.as_str(), "content-length" | "cookie" | LOOP_MARK)
        && RequestHygiene { forward_cookies: true, ..RequestHygiene::default() }.forwards(&lower)
}

/// Returns the call's id: the client's own if it is harmless, else one from 16 random bytes.
///
/// Keeping the client's lets an n8n run be followed through; bounding it keeps logs clean.
pub fn request_id(given: Option<&str>, random: [u8; 16]) -> String {
    match given {
        Some(id)
            if (8..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                && !begins_as_ours(id.as_bytes()) =>
        {
            id.to_owned()
        }
        _ => format!("req_{}", crate::token::random_id(random)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;

    const PLAIN: RequestHygiene = RequestHygiene {
        carrier: Some(Carrier::XApiKey),
        connection: None,
        forward_cookies: false,
        has_credential: false,
        answers_cors: false,
    };

    /// Parity fault 5: our token, cookies and `cf-*` headers went to every upstream.
    #[test]
    fn our_token_cookies_and_platform_headers_are_not_forwarded() {
        for name in [
            "x-api-key",
            "cookie",
            "cf-connecting-ip",
            "cf-ray",
            "x-forwarded-for",
            "x-real-ip",
            "connection",
            "te",
            "host",
            "x-request-id",
            "x-workflow",
        ] {
            assert!(!PLAIN.forwards(name), "{name}");
        }
        for name in
            ["accept", "authorization", "content-type", "range", "x-n8n", "content-length", "user-agent"]
        {
            assert!(PLAIN.forwards(name), "{name}");
        }
    }

    /// A token for `GET` alone could have an upstream `DELETE`.
    #[test]
    fn headers_that_override_method_or_path_are_not_forwarded() {
        for name in OVERRIDES {
            assert!(!PLAIN.forwards(name), "{name}");
        }
    }

    fn edits(hygiene: &RequestHygiene, headers: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let presented = Guarded::new([Secret::new(TOKEN.to_owned())]);
        hygiene
            .edits(headers.iter().copied(), &presented)
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v))
            .collect()
    }
    const TOKEN: &str = "ntk_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup7j1abW";

    #[test]
    fn our_token_is_forwarded_in_no_header_and_no_encoding() {
        let hygiene = RequestHygiene { forward_cookies: true, ..PLAIN };
        let quoted = format!("\"{TOKEN}\"");
        let basic = format!("Basic {}", crate::encoding::base64(format!("u:{TOKEN}").as_bytes()));
        let referer = format!("https://app.example/?key={}", TOKEN.replace('_', "%5F"));
        for (name, value) in [
            ("x-api-key", TOKEN),
            ("api-key", &quoted),
            ("authorization", &basic),
            ("referer", &referer),
            ("x-own", TOKEN),
        ] {
            assert_eq!(edits(&hygiene, &[(name, value)]), [(name.to_owned(), None)], "{name}: {value}");
        }
        let cookie = format!("a=1; t={TOKEN}; __Secure-__Host-s=2");
        let kept = ("cookie".to_owned(), Some("a=1; __Host-s=2".to_owned()));
        assert_eq!(edits(&hygiene, &[("cookie", &cookie), ("accept", "*/*")]), [kept]);
        let offered = format!("realtime, openai-insecure-api-key.{TOKEN}");
        let kept = ("sec-websocket-protocol".to_owned(), Some("realtime".to_owned()));
        assert_eq!(edits(&hygiene, &[("sec-websocket-protocol", &offered)]), [kept]);
        let presented = Guarded::new([Secret::new(TOKEN.to_owned())]);
        let query = format!("a=%20&key={TOKEN}&b=1&k={}", TOKEN.replace("tk", "%74k"));
        assert_eq!(query_without_token(&query, &presented).as_deref(), Some("a=%20&b=1"));
        assert_eq!(query_without_token(&format!("key={TOKEN}"), &presented), None);
        assert_eq!(query_without_token("a=1&&b", &presented).as_deref(), Some("a=1&&b"));
    }

    #[test]
    fn on_a_route_with_a_credential_no_other_key_goes_on() {
        let hygiene = RequestHygiene { has_credential: true, ..PLAIN };
        for carrier in Carrier::ALL.iter().filter(|carrier| **carrier != Carrier::WebSocketProtocol) {
            assert!(!hygiene.forwards(carrier.header()), "{carrier:?}");
        }
        for name in ["x-amz-security-token", "proxy-authorization"] {
            assert!(!hygiene.forwards(name), "{name}");
        }
        assert!(PLAIN.forwards("authorization") && PLAIN.forwards("x-goog-api-key"));
        let offered = [("sec-websocket-protocol", "a, openai-insecure-api-key.sk-own")];
        assert_eq!(edits(&hygiene, &offered), [("sec-websocket-protocol".to_owned(), Some("a".to_owned()))]);
        assert_eq!(edits(&PLAIN, &offered), []);
    }

    #[test]
    fn a_browsers_own_headers_are_dropped_if_the_gateway_decides_on_cors() {
        let hygiene = RequestHygiene { answers_cors: true, ..PLAIN };
        for name in [
            "origin",
            "referer",
            "sec-fetch-mode",
            "sec-ch-ua-platform",
            "access-control-request-method",
            "upgrade-insecure-requests",
            "dnt",
            "sec-gpc",
        ] {
            assert!(!hygiene.forwards(name), "{name}");
            assert!(PLAIN.forwards(name), "{name}: elsewhere it is the client's own");
        }
        assert!(hygiene.forwards("sec-websocket-key") && hygiene.forwards("user-agent"));
    }

    #[test]
    fn a_gateway_behind_a_gateway_is_not_a_loop_and_a_call_that_comes_back_is() {
        let first = next_hop(None, "gw.example").unwrap();
        let second = next_hop(Some(&first), "staging.example").unwrap();
        assert_eq!(second, "gw.example, staging.example");
        assert_eq!(next_hop(Some(&second), "GW.example"), None);
        assert_eq!(next_hop(Some("1"), "gw.example"), None, "an earlier version, or the route test");
        let names = ["a", "b", "c", "d", "e", "f"];
        let mark =
            names.iter().try_fold(None::<String>, |mark, own| next_hop(mark.as_deref(), own).map(Some));
        assert_eq!(mark, None, "too many in a row");
    }

    #[test]
    fn only_the_carrier_is_taken_away() {
        let hygiene = RequestHygiene { carrier: Some(Carrier::Authorization), ..PLAIN };
        assert!(!hygiene.forwards("authorization"));
        assert!(hygiene.forwards("x-api-key"));
    }

    #[test]
    fn headers_that_connection_names_are_hop_by_hop() {
        let hygiene = RequestHygiene { connection: Some("close, X-Hop"), ..PLAIN };
        assert!(!hygiene.forwards("x-hop"));
    }

    #[test]
    fn request_ids_are_kept_only_when_harmless() {
        assert_eq!(request_id(Some("run-12345"), [0; 16]), "run-12345");
        for given in [None, Some("short"), Some("a b c d e f"), Some("ntk_abcdefgh"), Some("ntd_abcdefgh")] {
            assert!(request_id(given, [1; 16]).starts_with("req_"));
        }
    }

    proptest! {
        #[test]
        fn no_platform_header_passes(name in "(cf-|x-forwarded-)[a-z-]{0,20}") {
            prop_assert!(!PLAIN.forwards(&name));
            prop_assert!(!is_settable(&name));
        }
    }
}
