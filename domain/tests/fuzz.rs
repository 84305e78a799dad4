//! Input from outside, mutated: seeds from `tests/corpus/<target>`, changed by a seeded generator.
//!
//! `FUZZ_RUNS` is how often each target is run (default 20,000, a second); a failure names the
//! seed of the run, and `FUZZ_SEED` starts there. Findings stay as files of the corpus, which are run
//! unchanged each time.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the test looks for failures")]

use domain::access::carrier::holds_token;
use domain::access::carrier::{Carrier, protocols_without_token};
use domain::access::path::{RequestPath, RoutePath};
use domain::access::scope::Scope;
use domain::access::{Call, decide};
use domain::ai::price::PriceList;
use domain::ai::{Metering, UsageReader, ask_of, with_include_usage};
use domain::credential::oauth::bearer_answer;
use domain::keys::{Key256, KeyRing};
use domain::kv::parse_routes;
use domain::people::session::UnverifiedJwt;
use domain::route::RouteTable;
use domain::token::{PREFIX, TokenSecret};
use domain::upstream::address::UpstreamUrl;
use domain::upstream::fault::Fault;
use domain::upstream::headers::{RequestHygiene, is_settable};
use domain::upstream::{build_url, map_location, map_set_cookie, restore_cookies, without_pairs};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// `SplitMix64` (Steele, Lea and Flood, 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most.max(1)).unwrap()).unwrap()
    }
}

/// Pieces that parsers are sensitive to.
const PIECES: [&[u8]; 24] = [
    b"..",
    b"%2e",
    b"%2F",
    b"%25",
    b"%",
    b"/",
    b"//",
    b"\\",
    b";",
    b"?",
    b"#",
    b"@",
    b"*",
    b",",
    b".",
    b" ",
    b"\r\n",
    b"\0",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"ntk_",
    "\u{e9}\u{1f600}".as_bytes(),
];

fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            3 => bytes.truncate(at),
            4 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let end = at + random.below(bytes.len() - at + 1);
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
        bytes.truncate(20_000);
    }
    bytes
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs `check` on each seed as it is, then on mutations.
fn run(target: &str, check: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty());
    for seed in &seeds {
        check(seed);
    }
    let first = number("FUZZ_SEED", 1);
    for seed in first..first + number("FUZZ_RUNS", 20_000) {
        let input = mutated(&seeds, &mut Random(seed));
        let held = std::panic::catch_unwind(|| check(&input));
        assert!(held.is_ok(), "{target}, FUZZ_SEED={seed}: {:?}", String::from_utf8_lossy(&input));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn table() -> RouteTable {
    let json = r#"{"v":2,"version":1,"legacy_tokens":false,"routes":[
        {"id":"a","path":"/api/x","url":"https://h.example:8443/v1"},
        {"id":"b","path":"/api/x/admin","url":"https://other.example"}]}"#;
    parse_routes(json, false).unwrap().table
}

#[test]
fn tokens_and_their_carriers() {
    let keys = KeyRing::new(Key256::new([7; 32]), vec![]);
    run("token", |bytes| {
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
    });
}

/// Whatever is asked for, what is sent stays at the route's origin and below its base path.
#[test]
fn paths_and_urls() {
    let table = table();
    run("path", |bytes| {
        let text = text(bytes);
        let (path, query) = text.split_once('?').map_or((text.as_str(), None), |(p, q)| (p, Some(q)));
        let _ =
            (text.parse::<RoutePath>(), UpstreamUrl::parse(&text, false), UpstreamUrl::parse(&text, true));
        let Some(request) = RequestPath::parse(path) else { return };
        let Some(route) = table.find(&request) else { return };
        if let Ok(url) = build_url(route.mount(), &request, query) {
            assert_eq!(url.origin(), route.target.upstream.as_url().origin());
            let base = route.target.upstream.base_path();
            assert!(url.path() == base || url.path().starts_with(&format!("{base}/")), "{url}");
            let _ = map_location(&text, &url, route.mount(), "https://gw.example");
        }
        let _ = (without_pairs(&text, |name, _| name == "key"), restore_cookies(&text, |_| false));
        assert!(!map_set_cookie(&text, route.mount()).to_ascii_lowercase().contains("; domain="));
    });
}

#[test]
fn scopes() {
    let table = table();
    run("scope", |bytes| {
        let text = text(bytes);
        let Ok(scope) = text.parse::<Scope>() else { return };
        assert_eq!(scope.to_string().parse::<Scope>().as_ref(), Ok(&scope), "it reads as it is written");
        for route in table.iter() {
            let path = RequestPath::parse("/api/x/admin/1").unwrap();
            if scope.covers("GET", &path, &route.rule) {
                assert!("*".parse::<Scope>().unwrap().contains(&scope));
            }
        }
    });
}

#[test]
fn headers_and_faults() {
    run("header", |bytes| {
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
                assert!(
                    !lower.starts_with("cf-") && !lower.starts_with("x-forwarded-") && lower != "x-api-key"
                );
            }
            assert!(!is_settable(name) || !name.contains([' ', '\r', '\0', ':']));
        }
    });
}

/// The first byte chooses where the response is cut in two.
#[test]
fn ai_answers() {
    run("ai", |bytes| {
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
        if let Some(asking) = with_include_usage("/v1/chat/completions", rest) {
            serde_json::from_slice::<serde_json::Value>(&asking).unwrap();
        }
        let _ = bearer_answer(&text(rest));
    });
}

#[test]
fn jwts() {
    run("jwt", |bytes| {
        let text = text(bytes);
        if let Ok(jwt) = UnverifiedJwt::parse(&text) {
            assert!(text.as_bytes().starts_with(jwt.signed().0));
        }
    });
}

/// A value that cannot be read grants nothing.
#[test]
fn values_in_kv() {
    let table = table();
    let hash = "0".repeat(64).parse().unwrap();
    run("kv", |bytes| {
        let text = text(bytes);
        let _ = (parse_routes(&text, false), PriceList::parse(&text));
        let Ok(record) = domain::kv::read_token(&text, &hash) else { return };
        let has_scopes = !record.scopes.is_empty();
        let path = RequestPath::parse("/api/x/1").unwrap();
        let call = Call { method: "GET", path: &path, client_ip: None, now: 0 };
        assert!(decide(&Arc::new(record), &table, &call).is_err() || has_scopes);
    });
}
