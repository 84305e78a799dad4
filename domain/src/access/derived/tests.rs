use super::*;
use crate::access::exchange::Asked;
use crate::access::record::{TokenRecord, TokenState};
use crate::access::scope::{cap_to_check, within_cap};
use crate::access::{Call, decide, decide_derived};
use crate::limit::Limits;
use crate::limit::ledger::Zone;
use crate::route::RouteTable;
use crate::route::tests::route;
use crate::token::mint;
use proptest::prelude::*;
use std::sync::Arc;

fn ring(byte: u8) -> KeyRing {
    KeyRing::new(Key256::new([byte; 32]), vec![])
}

fn parent_hash() -> TokenHash {
    mint([1; 32], &ring(1)).unwrap().hash()
}

pub fn record(scopes: Vec<Scope>) -> TokenRecord {
    TokenRecord {
        v: 2,
        id: "tok_1".into(),
        name: "n8n".into(),
        team: "ops".into(),
        scopes,
        cap: None,
        expires_at: None,
        state: TokenState::Active,
        secret_ends_at: None,
        ip_allow: vec![],
        limits: Limits::default(),
        team_budget: Limits::default(),
        zone: Zone::default(),
        inject_faults: false,
        may_derive: true,
        version: 1,
    }
}

fn derived() -> Derived {
    Derived {
        parent: parent_hash(),
        ends_at: 1_000,
        calls: Some(3),
        ip_allow: vec!["10.0.0.0/8".parse().unwrap()],
        nonce: "abcdefghijk".into(),
        scopes: vec!["openai".parse().unwrap(), "GET /api/x/*".parse().unwrap()],
    }
}

#[test]
fn the_format_is_pinned() {
    let token = derived().sign(&ring(7)).unwrap();
    assert_eq!(token.expose(), GOLDEN);
}
/// Computed independently, from the description at the top of the module.
const GOLDEN: &str = "ntd_MQo1ZTNjMjM2ZDFkODE2MTEwZTJmZWRlZDJkOGY3NjViZjA4NTYxMzllYWU1OTVmMjI4ZDE5ZGFmZjEzYzM2ZDM4CjEwMDAKMwoxMC4wLjAuMC84CmFiY2RlZmdoaWprCm9wZW5haQpHRVQgL2FwaS94Lyoh3ar8afQvNQ6hkffKhzbTk65zUMbL0iS4ME6Si8C0Ps";

#[test]
fn a_derived_token_verifies_under_any_key_of_the_ring() {
    let token = derived().sign(&ring(1)).unwrap();
    let rotated = KeyRing::new(Key256::new([2; 32]), vec![Key256::new([1; 32])]);
    assert_eq!(Derived::parse(token.expose(), &rotated), Some(derived()));
    assert_eq!(Derived::claimed_parent(token.expose()), Some(derived().parent));
    assert_eq!(Derived::parse(token.expose(), &ring(2)), None, "the old key is dropped");
}

#[test]
fn a_derived_token_is_no_longer_than_a_header_may_be() {
    let long = Derived { scopes: vec![format!("/{}", "x".repeat(290)).parse().unwrap(); 9], ..derived() };
    assert!(long.sign(&ring(1)).unwrap().expose().len() <= MAX_LEN);
    let longer = Derived { scopes: vec![format!("/{}", "x".repeat(290)).parse().unwrap(); 11], ..derived() };
    assert!(longer.sign(&ring(1)).is_none());
    assert_eq!(Derived::parse(&format!("ntd_{}", "A".repeat(MAX_LEN)), &ring(1)), None);
}

#[test]
fn a_bearer_is_what_its_prefix_says_and_shows_nothing() {
    let token = derived().sign(&ring(2)).unwrap();
    let bearer = Bearer::parse(token.expose(), &ring(1), Some(&ring(2))).unwrap();
    assert_eq!((bearer.hash(), bearer.expose()), (parent_hash(), token.expose()));
    assert!(!format!("{bearer:?}").contains(token.expose()));
    assert!(Bearer::parse(token.expose(), &ring(1), None).is_none(), "without a key");
    assert!(Bearer::parse(token.expose(), &ring(2), Some(&ring(1))).is_none(), "under the key of the check");
    let own = mint([3; 32], &ring(1)).unwrap();
    assert!(Bearer::parse(own.expose(), &ring(1), Some(&ring(2))).unwrap().derived().is_none());
}

const SCOPES: [&str; 12] = [
    "*",
    "x",
    "y",
    "GET",
    "tag:t",
    "route:rte_/api",
    "/api/x",
    "/api/x/*",
    "GET /api/*",
    "POST /api/x/y/*",
    "POST,GET /api/x/*",
    "/api/y/*",
];
const NETWORKS: [&str; 4] = ["10.0.0.0/8", "10.1.0.0/16", "::ffff:10.1.2.3", "192.0.2.0/24"];

fn list(picked: &[usize]) -> Vec<Scope> {
    picked.iter().map(|at| SCOPES[*at].parse().unwrap()).collect()
}

/// Returns the table of routes at these paths, with a tag or without.
fn table(routes: impl Iterator<Item = (&'static str, bool)>) -> RouteTable {
    let routes = routes.map(|(path, tagged)| {
        let mut route = route(path, "https://h.example");
        route.rule.tags = if tagged { vec!["t".into()] } else { vec![] };
        route
    });
    RouteTable::new(routes, false, 1)
}

const ROUTES: [&str; 5] = ["/api", "/api/x", "/api/x/y", "/x", "/api/y"];

fn networks(picked: &[usize]) -> Vec<IpNet> {
    picked.iter().map(|at| network::parse(NETWORKS[*at]).unwrap()).collect()
}

proptest! {
    #[test]
    fn what_was_signed_is_read_again(
        picked in proptest::collection::vec(0..SCOPES.len(), 0..6), nets in proptest::collection::vec(0..4_usize, 0..4),
        ends_at: i64, calls: Option<u64>, nonce in "[0-9A-Za-z]{11}", key: u8,
    ) {
        let made = Derived { parent: parent_hash(), ends_at, calls, ip_allow: networks(&nets), nonce, scopes: list(&picked) };
        let token = made.sign(&ring(key)).unwrap();
        prop_assert_eq!(Derived::parse(token.expose(), &ring(key)), Some(made));
    }

    #[test]
    fn one_changed_character_is_refused(at: prop::sample::Index, to in "[ -~é]") {
        let token = derived().sign(&ring(5)).unwrap();
        let mut text = token.expose().to_owned();
        let at = at.index(text.len());
        text.replace_range(at..=at, &to);
        prop_assert_eq!(Derived::parse(&text, &ring(5)).is_some(), text == token.expose());
    }

    #[test]
    fn any_other_text_is_refused(text in "(ntd_)?\\PC{0,200}") {
        prop_assert_eq!(Derived::parse(&text, &ring(5)), None);
    }

    /// Whatever is asked for, whatever becomes of the parent afterwards, and whatever routes there are: a call that a
    /// derived token may make is one that its parent may make at that moment, and one that it was given.
    #[test]
    fn a_derived_token_never_opens_more_than_its_parent_does_at_that_moment(
        then in (proptest::collection::vec(0..SCOPES.len(), 0..4), proptest::collection::vec(0..4_usize, 0..2)),
        now in (proptest::collection::vec(0..SCOPES.len(), 0..4), proptest::collection::vec(0..4_usize, 0..2)),
        cap in proptest::option::of(proptest::collection::vec(0..SCOPES.len(), 0..3)),
        asked in (proptest::option::of(proptest::collection::vec(0..SCOPES.len(), 1..3)), proptest::option::of(0..4_usize)),
        (may_derive, ends, state) in (proptest::bool::weighted(0.8), proptest::option::of(0..5_000_i64), 0..6_u8),
        routes in proptest::collection::vec((0..5_usize, proptest::bool::ANY), 1..4),
        (path, post, ip, at) in (0..6_usize, proptest::bool::ANY, 0..4_usize, 0..5_000_i64),
    ) {
        let before = TokenRecord { ip_allow: networks(&then.1), ..record(list(&then.0)) };
        let scope = asked.0.map(|picked| {
            let texts: Vec<String> = picked.iter().map(|at| SCOPES[*at].replace(' ', ":")).collect();
            texts.join("+")
        });
        let form = [
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&expires_in=3",
            "&subject_token_type=urn:ietf:params:oauth:token-type:access_token&scope=",
            scope.as_deref().unwrap_or_default(),
            "&ip=",
            asked.1.map_or("", |net| NETWORKS[net]),
        ]
        .concat();
        let asked = Asked::read(Some("application/x-www-form-urlencoded"), form.as_bytes()).unwrap();
        let who = "10.1.2.3".parse().ok();
        let Ok(issued) = asked.derive(&parent_hash(), &before, (who, 0), "n".into(), &ring(1)) else { return Ok(()) };
        let child = Derived::parse(issued.token.expose(), &ring(1)).unwrap();

        let (cap, scopes) = (cap.map(|cap| list(&cap)), list(&now.0));
        let inside = within_cap(&scopes, cap.as_deref());
        let parent = Arc::new(TokenRecord {
            cap: cap_to_check(&scopes, cap.as_deref(), &inside),
            ip_allow: networks(&now.1),
            may_derive,
            expires_at: ends,
            state: match state { 0 => TokenState::Revoked, 1 => TokenState::Disabled, _ => TokenState::Active },
            ..record(inside)
        });
        // A scope that names a route holds the path that the route had when the token was derived.
        let all = table(ROUTES.map(|path| (path, false)).into_iter());
        let table = table(routes.iter().map(|(at, tagged)| (ROUTES[*at], *tagged)));
        let path = RequestPath::parse(["/api", "/api/x", "/api/x/1", "/api/x/y/1", "/x/1", "/api/y/1"][path]).unwrap();
        let client_ip = ["10.1.2.3", "10.9.9.9", "192.0.2.1", "2001:db8::1"][ip].parse().ok();
        let call = Call { method: if post { "POST" } else { "GET" }, path: &path, client_ip, now: at };
        if let Ok(permit) = decide_derived(&parent, &child, &table, &call) {
            prop_assert!(decide(&parent, &table, &call).is_ok(), "the parent itself may not");
            prop_assert!(parent.may_derive && at < 3_000);
            // What it was given, judged as if a token of its own had just that, and its parent as it was.
            let given = Arc::new(TokenRecord { ip_allow: child.ip_allow.clone(), ..record(child.scopes.clone()) });
            prop_assert!(decide(&given, &table, &call).is_ok());
            let before = Arc::new(TokenRecord { ip_allow: vec![], ..before });
            let held = decide(&before, &table, &call).is_ok() || decide(&before, &all, &call).is_ok();
            prop_assert!(held, "its parent's scopes did not hold it");
            prop_assert_eq!(permit.token(), &parent, "its limits and its usage are the parent's");
        }
    }
}
