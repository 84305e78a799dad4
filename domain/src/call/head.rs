//! A call's head as it arrived: method, address and headers, read from one text.

use crate::access::path::RequestPath;
use crate::upstream::is_plain_query;
use std::net::Ipv4Addr;
use std::ops::Range;
use url::Url;

/// A call's method, address and headers.
///
/// It is read from one text, so that the whole head crosses from the platform at once: a line each for the method and
/// the address, then two for each header, its name in lower case and its value. None of them can hold a line break.
#[derive(Clone, Debug)]
pub struct Head {
    text: String,
    method: String,
    url: RequestUrl,
    fields: Vec<(Range<usize>, Range<usize>)>,
    content_length: Option<u64>,
    is_websocket: bool,
}

impl Head {
    /// Reads a head; `None` if its address is no URL.
    pub fn read(text: String) -> Option<Self> {
        let mut lines = text.split('\n');
        let (method, url) = (lines.next()?.to_ascii_uppercase(), RequestUrl::parse(lines.next()?)?);
        let mut fields = Vec::with_capacity(24);
        let mut at = text.match_indices('\n').nth(1).map_or(text.len(), |(at, _)| at + 1);
        while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
            let (name_ends, value_starts) = (at + name.len(), at + name.len() + 1);
            fields.push((at..name_ends, value_starts..value_starts + value.len()));
            at = value_starts + value.len() + 1;
        }
        let mut head = Self { text, method, url, fields, content_length: None, is_websocket: false };
        head.content_length = head.header("content-length").and_then(|length| length.parse().ok());
        head.is_websocket = head.header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
        Some(head)
    }

    /// Returns the method in upper case.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the address.
    pub fn url(&self) -> &RequestUrl {
        &self.url
    }

    /// Returns the headers in their order, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let part = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        self.fields.iter().map(move |(name, value)| (part(name), part(value)))
    }

    /// Returns the value of a header. `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        // Most names differ in length, which is compared without looking at them.
        let is_named =
            |known: &Range<usize>| known.len() == name.len() && self.text.get(known.clone()) == Some(name);
        let (_, value) = self.fields.iter().find(|(known, _)| is_named(known))?;
        self.text.get(value.clone())
    }

    /// Returns the announced length of the body, in bytes.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether the client wants to upgrade to a web socket.
    pub fn is_websocket(&self) -> bool {
        self.is_websocket
    }
}

/// The address of a request, as a URL parser reads it (<https://url.spec.whatwg.org/>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestUrl {
    scheme: String,
    authority: String,
    path: RequestPath,
    query: Option<String>,
}

impl RequestUrl {
    /// Parses an absolute address. Most are plain, and are read without the parser.
    pub fn parse(text: &str) -> Option<Self> {
        Self::plain(text).or_else(|| Self::parsed(text))
    }

    fn parsed(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        Some(Self {
            scheme: url.scheme().to_owned(),
            authority: url.authority().to_owned(),
            path: RequestPath::of(&url),
            query: url.query().map(str::to_owned),
        })
    }

    /// Returns the address if no part of it would be changed by the parser.
    fn plain(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, rest) = rest.split_at(rest.find('/')?);
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let is_plain = matches!(scheme, "http" | "https")
            && is_plain_authority(authority)
            && query.is_none_or(is_plain_query);
        Some(Self {
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            path: RequestPath::plain(path).filter(|_| is_plain)?,
            query: query.map(str::to_owned),
        })
    }

    /// Returns the path, as it is decided on and sent.
    pub fn path(&self) -> &RequestPath {
        &self.path
    }

    /// Returns the query without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns host and port; the port is left out if it is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns scheme, host and port, such as `https://gateway.example`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// Whether a host, with a port of its own or none, is in the parser's own form.
fn is_plain_authority(authority: &str) -> bool {
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| {
        port.len() <= 4 && port != "80" && port != "443" && port.starts_with(|c| ('1'..='9').contains(&c))
            || (port.len() == 5
                && port.starts_with(|c| ('1'..='9').contains(&c))
                && port.parse::<u16>().is_ok())
    };
    let is_plain_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with("xn--")
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    // A last label that begins with a digit may be a number, and the host an address in another form.
    let is_name =
        host.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()));
    port.is_none_or(|port| is_port(port) && port.bytes().all(|b| b.is_ascii_digit()))
        && host.split('.').all(is_plain_label)
        && (is_name || host.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_is_read_from_its_lines() {
        let head = Head::read(
            "post\nhttps://gw.example/api/x?a=1\ncontent-length\n12\nx-empty\n\nupgrade\nWebSocket\n"
                .to_owned(),
        )
        .unwrap();
        assert_eq!((head.method(), head.url().path().as_str()), ("POST", "/api/x"));
        assert_eq!(
            head.headers().collect::<Vec<_>>(),
            [("content-length", "12"), ("x-empty", ""), ("upgrade", "WebSocket")]
        );
        assert_eq!((head.content_length(), head.is_websocket(), head.header("x")), (Some(12), true, None));
        assert_eq!(Head::read("GET\nhttps://gw.example/".to_owned()).unwrap().headers().count(), 0);
        assert!(Head::read("GET\n/api/x".to_owned()).is_none());
    }

    #[test]
    fn the_usual_addresses_need_no_parser() {
        for plain in [
            "https://api.example.com/api/openai/v1/chat/completions",
            "http://127.0.0.1:8787/api/x/y.z?a=%20b&c[]=1",
            "http://localhost:65535/",
        ] {
            assert!(RequestUrl::plain(plain).is_some(), "{plain}");
        }
        for odd in [
            "https://API.example/x",
            "https://x.example",
            "https://x.example:443/",
            "https://u@x.example/",
            "http://127.1/",
            "https://x.example/a/../b",
            "https://x.example/%61",
            "https://x.example/a b",
            "https://xn--a/",
            "https://x.example/a\\b",
            "https://x.example/é",
            "https://x.example/?'",
        ] {
            assert!(RequestUrl::plain(odd).is_none(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_address_is_what_the_parser_makes_of_it(
            text in "(https?|HTTP)://([a-z0-9.:@-]{1,12}|[0-9.]{1,9}|127\\.0\\.0\\.1(:[0-9]{1,6})?|x.example)(/[a-z.%;:@&=+$,!'()*~_0-9/ #?\\[\\]<>{}|^`\"-]{0,24})?"
        ) {
            if let Some(plain) = RequestUrl::plain(&text) {
                prop_assert_eq!(Some(plain), RequestUrl::parsed(&text));
            }
        }
    }
}
