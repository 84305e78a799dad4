//! Checks that hold for any input from outside. `domain/tests/fuzz.rs` runs them on mutated seeds, `fuzz/` guided by
//! coverage.

#![expect(clippy::unwrap_used, reason = "the checks look for failures")]

use domain::access::carrier::{Carrier, holds_token, protocols_without_token};
use domain::access::path::{RequestPath, RoutePath};
use domain::access::scope::Scope;
use domain::access::{Call, decide};
use domain::ai::price::PriceList;
use domain::ai::renamed::in_body;
use domain::ai::{Metering, UsageReader, ask_of, ask_of_form, with_include_usage};
use domain::credential::oauth::bearer_answer;
use domain::keys::{Key256, KeyRing};
use domain::kv::{parse_routes, read_token};
use domain::people::session::UnverifiedJwt;
use domain::route::RouteTable;
use domain::token::{PREFIX, TokenSecret};
use domain::upstream::address::{InvalidUpstream, UpstreamUrl};
use domain::upstream::fault::Fault;
use domain::upstream::headers::{RequestHygiene, is_settable};
use domain::upstream::{build_url, map_location, map_set_cookie, restore_cookies, without_pairs};
use std::sync::{Arc, LazyLock};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let json = r#"{"v":2,"version":1,"legacy_tokens":false,"routes":[
        {"id":"a","path":"/api/x","url":"https://h.example:8443/v1"},
        {"id":"b","path":"/api/x/admin","url":"https://other.example"}]}"#;
    parse_routes(json, false).unwrap().table
});

/// A token is shown to nobody, and found in whatever carries it.
pub fn token(bytes: &[u8]) {
    let keys = KeyRing::new(Key256::new([7; 32]), vec![]);
    let text = text(bytes);
    if let Ok(token) = TokenSecret::parse(&text, &keys) {
        assert!(token.expose().starts_with(PREFIX) && !format!("{token:?}").contains(token.expose()));
    }
    for carrier in Carrier::ALL {
        if let Some(token) = carrier.token_in(&text) {
            assert!(text.contains(token));
            assert!(carrier == Carrier::XApiKey || holds_token(&text), "a token that would be forwarded");
        }
    }
    assert!(!protocols_without_token(&text, false).is_some_and(|rest| holds_token(&rest)));
}

/// Whatever is asked for, the URL that is called stays at the route's origin and below its base path.
pub fn path(bytes: &[u8]) {
    let text = text(bytes);
    let (path, query) = text.split_once('?').map_or((text.as_str(), None), |(p, q)| (p, Some(q)));
    let _ = (text.parse::<RoutePath>(), UpstreamUrl::parse(&text, true));
    if let Ok(upstream) = UpstreamUrl::parse(&text, false) {
        let again = UpstreamUrl::parse(upstream.as_str(), false);
        assert!(
            again.as_ref() == Ok(&upstream) || again == Err(InvalidUpstream::Length),
            "it reads as it is written"
        );
    }
    let Some(request) = RequestPath::parse(path) else { return };
    let Some(route) = TABLE.find(&request) else { return };
    if let Ok(url) = build_url(route.mount(), &request, query) {
        assert_eq!(url.origin(), route.target.upstream.as_url().origin());
        let base = route.target.upstream.base_path();
        assert!(url.path() == base || url.path().starts_with(&format!("{base}/")), "{url}");
        let _ = map_location(&text, &url, route.mount(), "https://gw.example");
    }
    let _ = (without_pairs(&text, |name, _| name == "key"), restore_cookies(&text, |_| false));
    assert!(!map_set_cookie(&text, route.mount()).to_ascii_lowercase().contains("; domain="));
}

/// A scope reads as it is written, and covers no call that `*` does not.
pub fn scope(bytes: &[u8]) {
    let Ok(scope) = text(bytes).parse::<Scope>() else { return };
    assert_eq!(scope.to_string().parse::<Scope>().as_ref(), Ok(&scope), "it reads as it is written");
    for route in TABLE.iter() {
        let path = RequestPath::parse("/api/x/admin/1").unwrap();
        if scope.covers("GET", &path, &route.rule) {
            assert!("*".parse::<Scope>().unwrap().contains(&scope));
        }
    }
}

/// No header of ours or of the platform goes on, and no odd name can be set.
pub fn header(bytes: &[u8]) {
    let text = text(bytes);
    let _ = Fault::parse(&text);
    for name in text.lines() {
        let lower = name.to_ascii_lowercase();
        let hygiene = RequestHygiene {
            carrier: Some(Carrier::XApiKey),
            connection: Some(&text),
            ..RequestHygiene::default()
        };
        if hygiene.forwards(&lower) {
            assert!(!lower.starts_with("cf-") && !lower.starts_with("x-forwarded-") && lower != "x-api-key");
        }
        assert!(!is_settable(name) || !name.contains([' ', '\r', '\0', ':']));
    }
}

/// A response reads the same in one piece and in two; its first byte chooses where it is cut.
pub fn ai(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    for content_type in [
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
        "application/vnd.amazon.eventstream",
    ] {
        let read = |pieces: &[&[u8]]| {
            let mut reader = UsageReader::new(content_type).unwrap();
            for piece in pieces {
                reader.feed(piece);
            }
            reader.finish(first % 2 == 0)
        };
        let (a, b) = rest.split_at(rest.len() * usize::from(*first) / 255);
        let whole = read(&[rest]);
        assert_eq!(read(&[a, b]), whole);
        assert!(whole.cost_micros.is_none());
    }
    let _ = ask_of(Metering::Generates, "/v1/x", rest);
    let _ = ask_of_form(Metering::Generates, "/v1/x", rest, "multipart/form-data; boundary=b");
    for content_type in [None, Some("multipart/form-data; boundary=b")] {
        let _ = in_body(rest, content_type, &[].into());
    }
    if let Some(asking) = with_include_usage("/v1/chat/completions", rest) {
        serde_json::from_slice::<serde_json::Value>(&asking).unwrap();
    }
    let _ = bearer_answer(&text(rest));
}

/// The signed part of a JWT is the text that came.
pub fn jwt(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(jwt) = UnverifiedJwt::parse(&text) {
        assert!(text.as_bytes().starts_with(jwt.signed().0));
    }
}

/// A value in KV that cannot be read grants nothing.
pub fn kv(bytes: &[u8]) {
    let text = text(bytes);
    let hash = "0".repeat(64).parse().unwrap();
    let _ = (parse_routes(&text, false), PriceList::parse(&text));
    let Ok(record) = read_token(&text, &hash) else { return };
    let has_scopes = !record.scopes.is_empty();
    let path = RequestPath::parse("/api/x/1").unwrap();
    let call = Call { method: "GET", path: &path, client_ip: None, now: 0 };
    assert!(decide(&Arc::new(record), &TABLE, &call).is_err() || has_scopes);
}
