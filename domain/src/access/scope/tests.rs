use super::*;
use crate::route::tests::rule;
use proptest::prelude::*;

fn covers(scope: &str, method: &str, path: &str) -> bool {
    let mut openai = rule("/api/openai");
    openai.tags = vec!["ai".into()];
    scope.parse::<Scope>().unwrap().covers(method, &RequestPath::parse(path).unwrap(), &openai)
}

#[test]
fn a_cap_keeps_what_lies_inside_it_and_shrinks_what_is_wider() {
    let list = |texts: &[&str]| -> Vec<Scope> { texts.iter().map(|t| t.parse().unwrap()).collect() };
    let within = |scopes: &[&str], cap: &[&str]| within_cap(&list(scopes), Some(&list(cap)));
    assert_eq!(within(&["*"], &["openai", "tag:ai"]), list(&["openai", "tag:ai"]));
    assert_eq!(within(&["openai", "aws"], &["openai"]), list(&["openai"]));
    assert_eq!(within(&["/api/openai/models"], &["openai"]), list(&["/api/openai/models"]));
    assert_eq!(within(&["/api/openai/*"], &["GET /api/openai/*"]), list(&["GET /api/openai/*"]));
    assert_eq!(within(&["*", "openai"], &[]), list(&[]), "an empty cap admits nothing");
    assert_eq!(within_cap(&list(&["*"]), None), list(&["*"]));
}

proptest::proptest! {
    /// Whatever the cap, what is left covers no call that the token or the cap does not cover.
    #[test]
    fn narrowed_scopes_cover_only_calls_that_scopes_and_cap_both_cover(scopes in proptest::collection::vec(0..7_usize, 0..4), cap in proptest::collection::vec(0..7_usize, 0..4), path in 0..4_usize, post in proptest::bool::ANY) {
        let texts = ["*", "x", "tag:t", "route:r1", "/api/x/a", "GET /api/x/*", "POST,GET /api/y/*"];
        let list = |picked: &[usize]| -> Vec<Scope> { picked.iter().map(|i| texts[*i].parse().unwrap()).collect() };
        let (scopes, cap) = (list(&scopes), list(&cap));
        let path = RequestPath::parse(["/api/x/a", "/api/x/b", "/api/y/a", "/api/z"][path]).unwrap();
        let base = if path.as_str().starts_with("/api/x") { "/api/x" } else { path.as_str() };
        let rule = rule(base);
        let method = if post { "POST" } else { "GET" };
        let covers = |list: &[Scope]| list.iter().any(|scope| scope.covers(method, &path, &rule));
        if covers(&within_cap(&scopes, Some(&cap))) {
            proptest::prop_assert!(covers(&scopes) && covers(&cap));
        }
    }
}

#[test]
fn each_form_covers_what_it_says() {
    for scope in ["*", "openai", "tag:ai", "route:rte_/api/openai", "GET /api/openai/models", "/api/openai/*"]
    {
        assert!(covers(scope, "GET", "/api/openai/models"), "{scope}");
    }
    for scope in [
        "open",
        "tag:a",
        "route:rte_other",
        "POST /api/openai/models",
        "/api/openai",
        "/api/openai/model",
        "GET /api/openai/models/*",
    ] {
        assert!(!covers(scope, "GET", "/api/openai/models"), "{scope}");
    }
}

#[test]
fn a_scope_tells_how_much_of_a_route_it_opens() {
    let mut openai = rule("/api/openai");
    openai.tags = vec!["ai".into()];
    openai.methods = vec!["GET".parse().unwrap(), "POST".parse().unwrap()];
    let reach = |scope: &str| scope.parse::<Scope>().unwrap().reach(&openai);
    for whole in ["*", "openai", "tag:ai", "route:rte_/api/openai", "/api/*", "GET,POST /api/*"] {
        assert_eq!(reach(whole), Reach::Whole, "{whole}");
    }
    // `/api/openai/*` leaves out `/api/openai` itself.
    for part in ["/api/openai/*", "/api/openai", "GET /api/openai/models", "GET /api/*"] {
        assert_eq!(reach(part), Reach::Part, "{part}");
    }
    for nothing in ["open", "tag:a", "route:rte_other", "DELETE /api/*", "/api/openai2", "/api", "/x/*"] {
        assert_eq!(reach(nothing), Reach::Nothing, "{nothing}");
    }
}

proptest! {
    /// A scope that is said to reach nothing covers no call of the route.
    #[test]
    fn a_scope_without_reach_covers_nothing(scope in 0..9_usize, path in 0..4_usize, post in proptest::bool::ANY) {
        let scope: Scope = ["*", "x", "y", "tag:t", "/api/x", "/api/x/*", "GET /api/*", "POST /api/x/a", "/api/y/*"][scope].parse().unwrap();
        let rule = rule("/api/x");
        let path = RequestPath::parse(["/api/x", "/api/x/a", "/api/x/a/b", "/api/x/"][path]).unwrap();
        let covers = scope.covers(if post { "POST" } else { "GET" }, &path, &rule);
        match scope.reach(&rule) {
            Reach::Nothing => prop_assert!(!covers),
            Reach::Whole => prop_assert!(covers),
            Reach::Part => {}
        }
    }
}

#[test]
fn an_encoded_climb_is_outside_every_pattern() {
    assert!(covers("/api/openai/public/*", "GET", "/api/openai/public/a%2Fb"));
    assert!(!covers("/api/openai/public/*", "GET", "/api/openai/public/..%2Fprivate"));
    assert!(!covers("/api/openai/public/*", "GET", "/api/openai/public/%2e%2e%5cprivate"));
}

#[test]
fn texts_that_are_not_scopes_are_refused() {
    for bad in [
        "", " ", "**", "a b", "tag:", "tag:a b", "route:", "/a/*/b", "/a*", "/a/../b", "G3T /a", "GET,/a",
        "GET a", "/a?b",
    ] {
        assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_cap_contains_only_what_it_surely_covers() {
    let contains = |a: &str, b: &str| a.parse::<Scope>().unwrap().contains(&b.parse().unwrap());
    assert!(contains("*", "tag:ai"));
    assert!(contains("openai", "openai"));
    assert!(contains("openai", "GET /api/openai/models"));
    assert!(contains("openai", "/api/openai/*"));
    assert!(contains("/api/x/*", "POST /api/x/y/*"));
    assert!(contains("GET,POST /api/x/*", "GET /api/x/y"));
    assert!(!contains("openai", "*"));
    assert!(!contains("openai", "/api/*"));
    assert!(!contains("GET /api/x/*", "/api/x/y"));
    assert!(!contains("/api/x/*", "/api/x"));
    assert!(!contains("tag:ai", "openai"));
}

proptest! {
    #[test]
    fn text_survives_a_round_trip(text in "(\\*|[a-z]{1,8}|tag:[a-z]{1,8}|route:rte_[a-z]{3}|((GET|POST,PUT) )?(/[a-z]{1,4}){1,3}(/\\*)?)") {
        prop_assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
    }
}
