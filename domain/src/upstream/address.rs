//! Addresses that an upstream may have.

use serde::Serialize;
use std::net::IpAddr;
use url::{Host, Url};

/// Returns scheme, host and port of a URL, such as `https://api.openai.com`. A credential is sealed to it.
pub fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub use crate::problem::InvalidUpstream;

/// The longest address, in bytes.
const MAX_LEN: usize = 2_000;

/// The rules for addresses, which depend on the stage and on who wrote the address.
#[derive(Clone, Copy, Debug)]
pub struct AddressRules {
    /// Whether `http:` and private hosts are admitted, and nothing else beyond (local development).
    pub allow_insecure: bool,
    /// Writes an address in ASCII, its host in Punycode, by the platform's parser: the `url` crate is built without
    /// the tables of Unicode that this takes. It is asked for addresses with other characters alone, and returns them
    /// unchanged if they are none.
    pub to_ascii: fn(&str) -> String,
}

impl From<bool> for AddressRules {
    /// Makes the rules for stored addresses, whose hosts are in ASCII, from `allow_insecure`.
    fn from(allow_insecure: bool) -> Self {
        Self { allow_insecure, to_ascii: str::to_owned }
    }
}

/// An address that an upstream may have: its path is the base of every call's.
///
/// It is written as the URL's text and read only by [`UpstreamUrl::parse`], since the rules depend on the stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamUrl(Url);

impl UpstreamUrl {
    /// Reads a configured address.
    pub fn parse(text: &str, rules: impl Into<AddressRules>) -> Result<Self, InvalidUpstream> {
        Self::read(text, rules.into())
    }

    fn read(
        text: &str,
        AddressRules { allow_insecure, to_ascii }: AddressRules,
    ) -> Result<Self, InvalidUpstream> {
        if text.len() > MAX_LEN {
            return Err(InvalidUpstream::Length);
        }
        let ascii = (!text.is_ascii()).then(|| to_ascii(text.trim()));
        let url = Url::parse(ascii.as_deref().unwrap_or(text.trim())).map_err(|_| InvalidUpstream::Syntax)?;
        // Percent-encoding makes some addresses longer, and the longer one is stored and read again.
        if url.as_str().len() > MAX_LEN {
            return Err(InvalidUpstream::Length);
        }
        match url.scheme() {
            "https" => {}
            "http" if allow_insecure => {}
            _ => return Err(InvalidUpstream::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUpstream::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidUpstream::Query);
        }
        let host = url.host().ok_or(InvalidUpstream::Syntax)?;
        if !allow_insecure && is_private(&host) {
            return Err(InvalidUpstream::PrivateHost);
        }
        Ok(Self(url))
    }

    /// Returns the parsed URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Returns the URL's text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns scheme, host and port, as [`origin_of`] does.
    pub fn origin(&self) -> String {
        origin_of(&self.0)
    }

    /// Returns the path without its last slash: `""` for `https://x.example/`.
    pub fn base_path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }
}

impl From<UpstreamUrl> for String {
    fn from(url: UpstreamUrl) -> Self {
        url.0.into()
    }
}

fn is_private(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => !is_public(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => !is_public(IpAddr::V6(*ip)),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // A single label resolves only on somebody's own network.
            !name.contains('.')
                || [".localhost", ".local", ".internal", ".lan", ".home.arpa"]
                    .iter()
                    .any(|suffix| name.ends_with(suffix))
        }
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b)) // RFC 6598, shared address space
                || (a == 192 && b == 0 && c == 0) // RFC 6890, protocol assignments
                || (a == 198 && (18..20).contains(&b))) // RFC 2544, benchmarking
        }
        IpAddr::V6(v6) => {
            let embedded = v6.to_ipv4_mapped().or_else(|| nat64(v6));
            let [first, ..] = v6.segments();
            embedded.map_or_else(
                || {
                    !(v6.is_loopback()
                        || v6.is_unspecified()
                        || v6.is_multicast()
                        || first & 0xfe00 == 0xfc00
                        || first & 0xffc0 == 0xfe80
                        || v6.to_ipv4().is_some())
                },
                |v4| is_public(IpAddr::V4(v4)),
            )
        }
    }
}

/// The IPv4 address inside `64:ff9b::/96` (RFC 6052).
fn nat64(v6: std::net::Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(std::net::Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_address_is_accepted_again_as_it_is_stored() {
        let grows = format!("https://x.example/{}", "é".repeat(500));
        assert!(grows.len() < MAX_LEN);
        assert_eq!(UpstreamUrl::parse(&grows, false), Err(InvalidUpstream::Length));
        let kept = UpstreamUrl::parse(&format!("https://x.example/{}", "é".repeat(300)), false).unwrap();
        assert_eq!(UpstreamUrl::parse(kept.as_str(), false), Ok(kept));
    }

    /// On a Worker and in a browser the platform translates (`tests/api/routes.test.mjs`, `tests/ui/routes.test.mjs`).
    #[test]
    fn a_host_in_unicode_is_read_as_the_platform_writes_it() {
        fn to_ascii(text: &str) -> String {
            text.replace("bücher", "xn--bcher-kva").replace("１２７。０", "127.0")
        }
        let rules = AddressRules { allow_insecure: false, to_ascii };
        let read = |text| UpstreamUrl::parse(text, rules).map(String::from);
        assert_eq!(read(" https://bücher.example/ä ").unwrap(), "https://xn--bcher-kva.example/%C3%A4");
        assert_eq!(read("https://１２７。０.0.1"), Err(InvalidUpstream::PrivateHost));
        assert_eq!(read("https://other-bücher-ü.example"), Err(InvalidUpstream::Syntax));
        assert_eq!(UpstreamUrl::parse("https://bücher.example", false), Err(InvalidUpstream::Syntax));
        assert!(UpstreamUrl::parse("https://xn--bcher-kva.example", false).is_ok());
    }

    #[test]
    fn addresses_that_cannot_be_upstreams() {
        use InvalidUpstream::{Length, PrivateHost, Query, Scheme, Syntax, UserInfo};
        let long = format!("https://h.example/{}", "x".repeat(2000));
        for (text, why) in [
            ("", Syntax),
            ("h.example", Syntax),
            ("http://h.example", Scheme),
            ("file:///etc/passwd", Scheme),
            ("javascript:alert(1)", Scheme),
            ("https://u:p@h.example", UserInfo),
            ("https://h.example/?a=1", Query),
            ("https://h.example/#a", Query),
            ("https://127.0.0.1", PrivateHost),
            ("https://2130706433", PrivateHost),
            ("https://0x7f.1", PrivateHost),
            ("https://10.0.0.1", PrivateHost),
            ("https://100.64.0.1", PrivateHost),
            ("https://169.254.169.254", PrivateHost),
            ("https://[::1]", PrivateHost),
            ("https://[::ffff:127.0.0.1]", PrivateHost),
            ("https://[64:ff9b::7f00:1]", PrivateHost),
            ("https://[fe80::1]", PrivateHost),
            ("https://[fd00::1]", PrivateHost),
            ("https://localhost", PrivateHost),
            ("https://db.internal", PrivateHost),
            ("https://intranet", PrivateHost),
            (long.as_str(), Length),
        ] {
            assert_eq!(UpstreamUrl::parse(text, false).unwrap_err(), why, "{text}");
        }
        assert!(UpstreamUrl::parse("https://api.openai.com/v1", false).is_ok());
        assert!(UpstreamUrl::parse("https://1.1.1.1", false).is_ok());
        assert!(UpstreamUrl::parse("http://127.0.0.1:8791/echo", true).is_ok());
        assert!(UpstreamUrl::parse("file:///etc/passwd", true).is_err());
    }
}
