use super::*;
use crate::route::tests::route;
use crate::upstream::address::UpstreamUrl;
use proptest::prelude::*;

fn built(base: &str, path: &str, query: Option<&str>) -> Result<String, BuildError> {
    let (route, path) = (route("/api/x", base), RequestPath::parse(path).unwrap());
    let url = build_url(route.mount(), &path, query).map(String::from);
    assert_eq!(upstream_url(route.mount(), &path, query), url, "with and without the parser");
    url
}

#[test]
fn the_remainder_and_the_query_survive_untouched() {
    let cases = [
        ("https://h.example/v1", "/api/x", None, "https://h.example/v1"),
        ("https://h.example/v1/", "/api/x", None, "https://h.example/v1/"),
        ("https://h.example/v1/", "/api/x/a", None, "https://h.example/v1/a"),
        ("https://h.example", "/api/x/", None, "https://h.example/"),
        ("https://h.example/v1", "/api/x/a//b/", Some("q=%20+&q=2"), "https://h.example/v1/a//b/?q=%20+&q=2"),
        ("https://h.example/v1", "/api/x/a%2Fb", Some(""), "https://h.example/v1/a%2Fb?"),
        ("https://h.example:8443/", "/api/x//evil.example/", None, "https://h.example:8443//evil.example/"),
    ];
    for (base, path, query, wanted) in cases {
        assert_eq!(built(base, path, query).as_deref(), Ok(wanted), "{base} {path}");
    }
}

#[test]
fn an_encoded_climb_is_refused() {
    for path in
        ["/api/x/..%2Fadmin", "/api/x/a/%2e%2e%2f%2e%2e%2fadmin", "/api/x/..%5Cadmin", "/api/x/..%252fadmin"]
    {
        assert_eq!(built("https://h.example/v1", path, None), Err(BuildError::Climbs), "{path}");
    }
}

#[test]
fn a_credentials_parameter_stands_alone() {
    assert_eq!(without_parameter("a=1&key=x&b=%20+&KEY=y&k%65y=z&key", "key").as_deref(), Some("a=1&b=%20+"));
    assert_eq!(without_parameter("key=x", "key"), None);
}

#[test]
fn pairs_are_taken_out_of_an_address_of_any_form() {
    let without_key = |address| without_pairs(address, |name, _| name.eq_ignore_ascii_case("key"));
    for (given, wanted) in [
        ("/v1/models/?key=SECRET&a=1#f", "/v1/models/?a=1#f"),
        ("?KEY=SECRET", "?"),
        ("https://other.example/x?k%65y=SECRET", "https://other.example/x"),
        ("/v1/a#?key=kept", "/v1/a#?key=kept"),
        ("/v1/a", "/v1/a"),
        ("?&&a", "?&&a"),
    ] {
        assert_eq!(without_key(given), wanted, "{given}");
    }
}

fn location(location: &str) -> Option<String> {
    let route = route("/api/x", "https://h.example:8443/v1");
    let sent_to = Url::parse("https://h.example:8443/v1/jobs/1").unwrap();
    map_location(location, &sent_to, route.mount(), "https://gw.example")
}

/// Parity fault 9: the base path was doubled, `//host` mishandled, https forced, the port dropped.
#[test]
fn location_comes_back_to_the_gateway_with_the_base_path_taken_off() {
    for (given, wanted) in [
        ("https://h.example:8443/v1/jobs/2?a=1#f", Some("https://gw.example/api/x/jobs/2?a=1#f")),
        ("//h.example:8443/v1/jobs/2", Some("https://gw.example/api/x/jobs/2")),
        ("/v1/jobs/2", Some("https://gw.example/api/x/jobs/2")),
        ("/v1", Some("https://gw.example/api/x")),
        ("/v1/", Some("https://gw.example/api/x/")),
        ("/login", Some("https://h.example:8443/login")),
        ("/v1beta/a", Some("https://h.example:8443/v1beta/a")),
        ("https://h.example/v1/jobs/2", None),
        ("http://h.example:8443/v1/jobs/2", None),
        ("//other.example/v1", None),
        ("https://other.example/", None),
        ("2", Some("https://gw.example/api/x/jobs/2")),
        ("?page=2", Some("https://gw.example/api/x/jobs/1?page=2")),
        ("../../login", Some("https://h.example:8443/login")),
    ] {
        assert_eq!(location(given).as_deref(), wanted, "{given}");
    }
}

#[test]
fn set_cookie_is_narrowed_to_the_route() {
    let route = route("/api/x", "https://h.example/v1");
    for (given, wanted) in [
        ("a=b; Path=/; Domain=h.example; Secure; HttpOnly", "a=b; Path=/api/x; Secure; HttpOnly"),
        ("a=b; path=/v1/jobs; SameSite=Lax", "a=b; Path=/api/x/jobs; SameSite=Lax"),
        ("a=b; Path=/v1", "a=b; Path=/api/x"),
        ("a=b; Path=/v1beta", "a=b; Path=/api/x"),
        (
            "a=\"x=y\"; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
            "a=\"x=y\"; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/api/x",
        ),
        ("a=b; Path", "a=b; Path=/api/x"),
    ] {
        assert_eq!(map_set_cookie(given, route.mount()), wanted, "{given}");
    }
}

/// Its default path would be the parent of the route's, which other routes share.
#[test]
fn a_cookie_without_a_path_belongs_to_the_route_alone() {
    let route = route("/api/x", "https://h.example/v1");
    assert_eq!(map_set_cookie("a=b", route.mount()), "a=b; Path=/api/x");
    assert_eq!(map_set_cookie("a=b; DOMAIN=.h.example; Secure", route.mount()), "a=b; Secure; Path=/api/x");
}

/// A browser refuses such a cookie with any other path than `/`.
#[test]
fn a_host_cookie_gets_a_name_that_browsers_take_and_its_own_on_the_way_back() {
    let route = route("/api/x", "https://h.example/v1");
    for name in ["__Host-sid", "__HOST-Http-sid", "__host-Http-a"] {
        let set = map_set_cookie(&format!("{name}=1; Path=/; Secure; HttpOnly"), route.mount());
        assert_eq!(set, format!("__Secure-{name}=1; Path=/api/x; Secure; HttpOnly"));
        let back = restore_cookies(&format!("a=b; __Secure-{name}=1"), |_| false);
        assert_eq!(back, Some(format!("a=b; {name}=1")));
    }
    for name in ["__Secure-a", "__Http-a", "Host-a"] {
        assert_eq!(
            map_set_cookie(&format!("{name}=1; Path=/"), route.mount()),
            format!("{name}=1; Path=/api/x")
        );
        assert_eq!(restore_cookies(&format!("{name}=1"), |_| false), Some(format!("{name}=1")));
    }
    assert_eq!(restore_cookies("a=ntk_x; b=1", |pair| pair.contains("ntk_")).as_deref(), Some("b=1"));
    assert_eq!(restore_cookies("a=ntk_x", |pair| pair.contains("ntk_")), None);
}

proptest! {
    /// For any upstream and any path: the configured origin, and under the base path.
    #[test]
    fn a_built_url_stays_at_its_origin_and_under_its_base(
        base in "https://[a-z]{1,8}\\.example(:[1-9][0-9]{2,3})?(/[a-z0-9%]{1,6}){0,3}/?",
        rest in "[/a-z.%25EFef\\\\@:?#\u{e9}-]{0,40}",
        query in proptest::option::of("[a-z=&%#?]{0,10}"),
    ) {
        let Ok(upstream) = UpstreamUrl::parse(&base, false) else { return Ok(()) };
        let Some(path) = RequestPath::parse(&format!("/api/x/{rest}")) else { return Ok(()) };
        if let Ok(url) = build_url(route("/api/x", &base).mount(), &path, query.as_deref()) {
            prop_assert_eq!(url.origin(), upstream.as_url().origin());
            prop_assert!(is_under(url.path(), upstream.base_path()));
            prop_assert!(!hides_climb(url.path().strip_prefix(upstream.base_path()).unwrap()));
            prop_assert_eq!(url.username(), "");
        }
    }
}

proptest! {
    #[test]
    fn an_address_is_the_same_with_and_without_the_parser(
        base in "https://h\\.example(:8443)?(/[a-z%.;]{0,6}){0,3}",
        path in "/api/x(/[a-z0-9.%;:@&=+$,!'()*~_-]{0,5}){0,4}",
        query in proptest::option::of("[a-z0-9=&%+'\"<\\[\\]{}|?/]{0,9}"),
    ) {
        if let (Ok(upstream), Some(path)) = (UpstreamUrl::parse(&base, false), RequestPath::parse(&path)) {
            let mut route = route("/api/x", "https://h.example");
            route.target.upstream = upstream;
            let built = build_url(route.mount(), &path, query.as_deref()).map(String::from);
            prop_assert_eq!(upstream_url(route.mount(), &path, query.as_deref()), built);
        }
    }
}
