use super::*;
use crate::credential::Credential;
use crate::encoding::base64;
use crate::route::tests::route;
use crate::upstream::headers::search::percent_encoded;
use proptest::prelude::*;
use serde_json::json;

const GATEWAY: &str = "https://gw.example";

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn apply(headers: &[(String, String)], edits: &Edits) -> Vec<(String, String)> {
    let mut headers = headers.to_vec();
    for edit in &edits.edits {
        match edit.clone() {
            Edit::Delete(name) => headers.retain(|(known, _)| *known != name),
            Edit::Set(name, value) => {
                headers.retain(|(known, _)| *known != name);
                headers.push((name, value));
            }
            Edit::Append(name, value) => headers.push((name, value)),
        }
    }
    headers
}

/// The header as the client gets it, from a route whose key goes into the query as `key`.
fn returned(name: &str, value: &str) -> Option<(String, String)> {
    let route = route("/api/x", "https://h.example/v1");
    let guarded = Guarded::new([crate::secret::Secret::new("VENDOR-SECRET/1".to_owned())]);
    let returning = Returning {
        mount: route.mount(),
        sent_to: "https://h.example/v1/items?page=1",
        gateway: GATEWAY,
        request_id: "req_1",
        guarded: &guarded,
        parameter: Some("key"),
    };
    let headers = [header(name, value)];
    let edits = returning.edits(&headers);
    apply(&headers, &edits).into_iter().next()
}

#[test]
fn addresses_lead_back_to_the_gateway_without_the_credential() {
    let next = "<https://gw.example/api/x/items?x=1&page=2>; rel=\"next\"";
    for (name, given, wanted) in [
        ("location", "#done", "https://gw.example/api/x/items?page=1#done"),
        ("location", "", "https://gw.example/api/x/items?page=1"),
        ("location", "?page=2&key=VENDOR-SECRET%2F1", "https://gw.example/api/x/items?page=2"),
        ("location", "https://o.example/?key=own&to=1", "https://o.example/?key=own&to=1"),
        ("location", "https://o.example/?t=VENDOR-SECRET%2f1&a=1", "https://o.example/?a=1"),
        // An address that is not read, here for its host, is left as it is, without the credential.
        ("location", "https://bücher.example/?t=VENDOR-SECRET%2f1&a=1", "https://bücher.example/?a=1"),
        (
            "link",
            "<https://bücher.example/?key=VENDOR-SECRET/1>; rel=next",
            "<https://bücher.example/>; rel=next",
        ),
        ("content-location", "/v1/items?key=VENDOR-SECRET/1", "https://gw.example/api/x/items"),
        ("azure-asyncoperation", "https://h.example/v1/op/1?v=2", "https://gw.example/api/x/op/1?v=2"),
        ("operation-location", "https://h.example/v1/op/1", "https://gw.example/api/x/op/1"),
        (
            "x-goog-upload-url",
            "https://h.example/v1/up?key=VENDOR-SECRET/1&id=2",
            "https://gw.example/api/x/up?id=2",
        ),
        ("x-short-url", "/v1/relative", "/v1/relative"),
        ("link", "<https://h.example/v1/items?x=1&key=VENDOR-SECRET/1&page=2>; rel=\"next\"", next),
        (
            "link",
            "</v1/a>; rel=prev; title=\"<, \\\" >\", <https://o.example/s.css>;rel=preload,<?page=3>;rel=last",
            "<https://gw.example/api/x/a>; rel=prev; title=\"<, \\\" >\", <https://o.example/s.css>;rel=preload,<https://gw.example/api/x/items?page=3>;rel=last",
        ),
        ("link", "<broken", "<broken"),
        ("refresh", "5; URL='/v1/next?key=VENDOR-SECRET/1'", "5; url=https://gw.example/api/x/next"),
        ("refresh", "5", "5"),
        ("refresh", "0;https://o.example/", "0;https://o.example/"),
    ] {
        assert_eq!(returned(name, given), Some(header(name, wanted)), "{name}: {given}");
    }
}

#[test]
fn the_upstreams_own_request_id_reaches_the_client() {
    assert_eq!(returned("x-request-id", "vendor-1"), Some(header(UPSTREAM_REQUEST_ID, "vendor-1")));
    assert_eq!(returned("x-request-id", "req_1"), None, "ours, handed back");
}

#[test]
fn headers_of_a_connection_or_an_origin_are_dropped_and_others_are_kept() {
    for name in ["connection", "te", "alt-svc", "clear-site-data", "access-control-allow-origin", "nel"] {
        assert_eq!(returned(name, "x"), None, "{name}");
    }
    for name in ["content-type", "etag", "ratelimit", "x-ratelimit-remaining-tokens", "retry-after", "vary"] {
        assert_eq!(returned(name, "x"), Some(header(name, "x")), "{name}");
    }
    for (name, _) in TABLE {
        assert_eq!(TABLE.iter().filter(|(other, _)| *other == name).count(), 1, "{name} once");
        assert_eq!(name, name.to_ascii_lowercase());
    }
}

#[test]
fn only_the_cookie_that_holds_the_credential_is_withheld() {
    let route = route("/api/x", "https://h.example/v1");
    let guarded = Guarded::new([crate::secret::Secret::new("VENDOR-SECRET".to_owned())]);
    let returning = Returning {
        mount: route.mount(),
        sent_to: route.target.upstream.as_str(),
        gateway: GATEWAY,
        request_id: "req_1",
        guarded: &guarded,
        parameter: None,
    };
    let headers = [header("set-cookie", "a=VENDOR-SECRET"), header("set-cookie", "b=1; Path=/v1")];
    let edits = returning.edits(&headers);
    assert_eq!(apply(&headers, &edits), [header("set-cookie", "b=1; Path=/api/x")]);
    assert_eq!(edits.withheld, ["set-cookie"]);
}

#[test]
fn limits_of_both_stay_legible() {
    let ours = "\"calls-per-minute\";q=60;w=60";
    assert_eq!(name_beside(RATE_LIMIT, "\"default\";r=5;t=1", ours), RATE_LIMIT);
    assert_eq!(name_beside(RATE_LIMIT, "limit=100, remaining=5, reset=1", ours), "x-upstream-ratelimit");
    assert_eq!(name_beside(RATE_LIMIT_POLICY, "100;w=60", ours), "x-upstream-ratelimit-policy");
    assert_eq!(name_beside(RATE_LIMIT, "\"calls-per-minute\";r=1;t=1", ours), "x-upstream-ratelimit");
}

/// Credentials of every kind made from two secrets.
fn credentials(a: &str, b: &str) -> Vec<Credential> {
    [
        json!({"kind": "bearer", "token": a}),
        json!({"kind": "header", "name": "X-Key", "prefix": "Key ", "value": a}),
        json!({"kind": "headers", "headers": [{"name": "X-Key", "value": a}, {"name": "X-Other", "value": b}]}),
        json!({"kind": "basic", "username": "user", "password": a}),
        json!({"kind": "query", "parameter": "key", "value": a}),
        json!({"kind": "oauth2_client_credentials", "token_url": "https://h.example/t", "client_id": "c", "client_secret": a}),
        json!({"kind": "aws_sigv4", "access_key_id": b, "secret_access_key": a, "session_token": b, "region": "r", "service": "s"}),
    ]
    .into_iter()
    .map(|json| serde_json::from_value(json).unwrap())
    .collect()
}

proptest! {
    /// Vendors build headers from the request's own parts; whatever they do, the credential stays here.
    #[test]
    fn no_header_that_leaves_holds_the_credential(
        a in "[!-~]{8,40}",
        b in "[A-Za-z0-9_]{8,40}",
        name in "location|link|refresh|content-location|set-cookie|www-authenticate|server-timing|etag|x-[a-z]{1,8}(-url)?|x-request-id|ratelimit",
        before in "[ -~]{0,12}",
        shape in 0..12_usize,
        rounds in 0..3_usize,
    ) {
        for credential in credentials(&a, &b) {
            let guarded = Guarded::new(credential.secrets());
            let route = route("/api/x", "https://h.example/v1");
            let returning = Returning {
                mount: route.mount(),
                sent_to: "https://h.example/v1/items?page=1",
                gateway: GATEWAY,
                request_id: "req_1",
                guarded: &guarded,
                parameter: Some("key"),
            };
            for secret in credential.secrets() {
                let secret = secret.expose();
                let encoded = (0..rounds).fold(secret.to_owned(), |text, _| percent_encoded(&text));
                let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                let value = match shape {
                    0 => encoded,
                    1 => format!("{before}{encoded}"),
                    2 => format!("https://h.example/v1/items?key={encoded}&page=2"),
                    3 => format!("?page=2&key={form}"),
                    4 => format!("#{encoded}"),
                    5 => format!("<https://h.example/v1/i?x=1&key={form}&page=2>; rel=\"next\""),
                    6 => format!("<{before}?other={form}>; rel=next, <https://o.example/{form}>"),
                    7 => format!("5; url=/v1/x?a={encoded}"),
                    8 => format!("Basic {}", base64(format!("{before}{secret}").as_bytes())),
                    9 => format!("https://o.example/login?return={}", percent_encoded(&format!("/v1/x?key={form}"))),
                    10 => format!("sid={encoded}; Path=/"),
                    _ => serde_json::to_string(&json!({ "echo": format!("{before}{secret}") })).unwrap(),
                };
                let headers = [header(&name, &value), header("set-cookie", &value)];
                for (name, value) in apply(&headers, &returning.edits(&headers)) {
                    prop_assert!(!guarded.are_in(&value), "{name}: {value}");
                    prop_assert!(!value.contains(secret) && !value.contains(&form), "{name}: {value}");
                    prop_assert!(!value.contains(&base64(secret.as_bytes())), "{name}: {value}");
                }
            }
        }
    }
}

#[test]
fn the_vendors_request_id_is_told_under_one_name_whatever_it_is_called() {
    let route = route("/api/x", "https://h.example/v1");
    let guarded = Guarded::new([crate::secret::Secret::new("VENDOR-SECRET/1".to_owned())]);
    let returning = Returning {
        mount: route.mount(),
        sent_to: "https://h.example/v1/items",
        gateway: GATEWAY,
        request_id: "req_1",
        guarded: &guarded,
        parameter: None,
    };
    let told = |headers: &[(&str, &str)]| -> Vec<String> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| header(name, value)).collect();
        let headers = apply(&headers, &returning.edits(&headers));
        headers.into_iter().filter(|(name, _)| name == UPSTREAM_REQUEST_ID).map(|(_, value)| value).collect()
    };
    assert_eq!(told(&[("x-request-id", "abc"), ("cf-ray", "9f1c")]), ["abc"]);
    assert_eq!(told(&[("request-id", "req_011")]), ["req_011"]);
    assert_eq!(told(&[("cf-ray", "9f1c"), ("x-amzn-requestid", "7a")]), ["7a"], "the vendor's own first");
    assert_eq!(told(&[("x-upstream-request-id", "inner"), ("request-id", "x")]), ["inner"]);
    assert_eq!(told(&[("request-id", "VENDOR-SECRET%2F1")]), [""; 0]);
    assert_eq!(told(&[("request-id", "req_1")]), [""; 0], "our own");
    assert_eq!(told(&[("x-request-id", "req_1")]), [""; 0]);
}
