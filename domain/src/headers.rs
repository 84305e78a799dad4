//! Header hygiene: which request headers go on to an upstream, and which a credential may set.
//!
//! This is the one place; the gateway carries it out.

use crate::token::Carrier;

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

/// What the platform or another proxy says about the client. It is not the upstream's business, and
/// from a client it would be a lie.
const DROPPED_PREFIXES: [&str; 2] = ["cf-", "x-forwarded-"];
const DROPPED: [&str; 7] =
    ["x-real-ip", "true-client-ip", "forwarded", "cdn-loop", "host", REQUEST_ID, crate::fault::FAULT];

/// Some upstreams heed these in place of the method and path that were decided on.
const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

pub const REQUEST_ID: &str = "x-request-id";
pub const SERVER_TIMING: &str = "server-timing";
/// Set on every upstream call, and refused (508) when it comes back in: RFC 8586's idea under a
/// name of our own, since Cloudflare keeps `CDN-Loop` for itself.
pub const LOOP_MARK: &str = "x-token-manager-hop";

/// What the hygiene needs to know of the request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHygiene<'a> {
    /// The header that held our token.
    pub carrier: Option<Carrier>,
    /// The value of `Connection`, whose members are hop-by-hop too.
    pub connection: Option<&'a str>,
    /// Whether the route forwards `Cookie`.
    pub forward_cookies: bool,
}

impl RequestHygiene<'_> {
    /// Whether the request header `name` (lower case) goes on to the upstream.
    pub fn forwards(&self, name: &str) -> bool {
        !(HOP_BY_HOP.contains(&name)
            || DROPPED.contains(&name)
            || OVERRIDES.contains(&name)
            || DROPPED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || self.carrier.is_some_and(|carrier| carrier.header() == name)
            || (name == "cookie" && !self.forward_cookies)
            || self
                .connection
                .is_some_and(|list| list.split(',').any(|n| n.trim().eq_ignore_ascii_case(name))))
    }
}

/// Whether the value of a carrier's header holds one of our tokens, in whatever form: a client that
/// sends its token twice must not have the second copy forwarded.
pub fn holds_token(value: &str) -> bool {
    let is_border = |c: char| c.is_whitespace() || matches!(c, ',' | '.');
    value.split(is_border).any(|word| word.starts_with(crate::token::PREFIX))
}

/// Whether a credential may set the header `name`.
pub fn is_settable(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_token = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    is_token
        && !matches!(lower.as_str(), "content-length" | "cookie" | LOOP_MARK)
        && RequestHygiene { carrier: None, connection: None, forward_cookies: true }.forwards(&lower)
}

/// A request id: the client's own where it is harmless, else one from 16 random bytes.
///
/// Keeping the client's lets an n8n run be followed through; bounding it keeps logs clean.
pub fn request_id(given: Option<&str>, random: [u8; 16]) -> String {
    match given {
        Some(id)
            if (8..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                && !id.starts_with(crate::token::PREFIX) =>
        {
            id.to_owned()
        }
        _ => format!("req_{}", crate::token::base62(&random, 22)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: RequestHygiene =
        RequestHygiene { carrier: Some(Carrier::XApiKey), connection: None, forward_cookies: false };

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
    fn what_would_stand_in_for_the_method_or_path_is_not_forwarded() {
        for name in OVERRIDES {
            assert!(!PLAIN.forwards(name), "{name}");
        }
    }

    #[test]
    fn a_second_token_is_seen_in_any_form() {
        for value in ["ntk_x", "Bearer ntk_x", "bearer  ntk_x", "a, realtime.ntk_x"] {
            assert!(holds_token(value), "{value}");
        }
        assert!(!holds_token("Bearer sk-ntk_x"));
    }

    #[test]
    fn only_the_carrier_is_taken_away() {
        let hygiene = RequestHygiene { carrier: Some(Carrier::Authorization), ..PLAIN };
        assert!(!hygiene.forwards("authorization"));
        assert!(hygiene.forwards("x-api-key"));
    }

    #[test]
    fn what_connection_names_is_hop_by_hop() {
        let hygiene = RequestHygiene { connection: Some("close, X-Hop"), ..PLAIN };
        assert!(!hygiene.forwards("x-hop"));
    }

    #[test]
    fn request_ids_are_kept_only_when_harmless() {
        assert_eq!(request_id(Some("run-12345"), [0; 16]), "run-12345");
        for given in [None, Some("short"), Some("a b c d e f"), Some("ntk_abcdefgh")] {
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
