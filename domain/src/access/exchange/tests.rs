use super::*;
use crate::keys::Key256;
use crate::token::mint;

const GOOD: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

fn ring() -> KeyRing {
    KeyRing::new(Key256::new([1; 32]), vec![])
}

fn read(more: &str) -> Result<Asked, Refused> {
    Asked::read(Some("application/x-www-form-urlencoded; charset=utf-8"), format!("{GOOD}{more}").as_bytes())
}

fn record(scopes: &[&str]) -> TokenRecord {
    let scopes: Vec<Scope> = scopes.iter().map(|text| text.parse().unwrap()).collect();
    serde_json::from_value(serde_json::json!({
        "v": 2, "id": "tok_1", "name": "n", "team": "t", "scopes": scopes, "may_derive": true, "version": 1,
    }))
    .unwrap()
}

fn derive(more: &str, record: &TokenRecord) -> Result<Issued, Refused> {
    let parent = mint([1; 32], &ring()).unwrap().hash();
    let client = ("10.1.2.3".parse().ok(), 1_000);
    read(more)?.derive(&parent, record, client, "nonce".into(), &ring())
}

fn texts(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

#[test]
fn scopes_are_read_with_a_colon_or_a_space_before_the_path_and_written_with_a_colon() {
    for (text, wanted) in [
        ("openai tag:ai", vec!["openai", "tag:ai"]),
        ("GET:/api/x/* /api/y", vec!["GET /api/x/*", "/api/y"]),
        ("GET /api/x/*  POST,PUT /api/y", vec!["GET /api/x/*", "POST,PUT /api/y"]),
        ("get /api/x", vec!["GET /api/x"]),
        ("PROPFIND /api/x", vec!["PROPFIND /api/x"]),
        ("openai /api/x/*", vec!["openai", "/api/x/*"]),
        ("route:rte_/api/x *", vec!["route:rte_/api/x", "*"]),
        ("* *", vec!["*"]),
    ] {
        let scopes = scopes_of(text).unwrap();
        assert_eq!(texts(&scopes), wanted, "{text}");
        let written = scopes.iter().map(text_of).collect::<Vec<_>>().join(" ");
        assert_eq!(scopes_of(&written).unwrap(), scopes, "{written}");
    }
    for bad in ["a/b", "tag:", "tag:/x", "GET:/x/*/y", "GET,:/x", "a\"b"] {
        assert_eq!(scopes_of(bad).unwrap_err().error, "invalid_scope", "{bad}");
    }
}

#[test]
fn each_parameter_that_cannot_be_accepted_is_named_in_the_form_of_the_rfc() {
    let long = "x".repeat(400);
    for (more, error, name) in [
        ("&grant_type=x", "invalid_request", "grant_type"),
        ("&scope=%22%5C%C3%A9", "invalid_scope", "scope"),
        ("&scope=a&scope=b", "invalid_request", "scope"),
        (&format!("&scope={long}"), "invalid_scope", "scope"),
        ("&expires_in=0", "invalid_request", "expires_in"),
        ("&expires_in=3601", "invalid_request", "expires_in"),
        ("&expires_in=1.5", "invalid_request", "expires_in"),
        ("&calls=0", "invalid_request", "calls"),
        ("&calls=-1", "invalid_request", "calls"),
        ("&ip=10.0.0.0/99", "invalid_request", "ip"),
        ("&ip=%20", "invalid_request", "ip"),
        ("&audience=x", "invalid_target", "audience"),
        ("&resource=https://x.example", "invalid_target", "resource"),
        ("&actor_token=x", "invalid_request", "actor_token"),
        (
            "&requested_token_type=urn:ietf:params:oauth:token-type:jwt",
            "invalid_request",
            "requested_token_type",
        ),
        ("&subject_token_type=x", "invalid_request", "subject_token_type"),
    ] {
        let refused = read(more).unwrap_err();
        assert_eq!(refused.error, error, "{more}");
        assert!(refused.error_description.contains(name), "{more}: {}", refused.error_description);
        // RFC 6749, section 5.2.
        let legal = |b: u8| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
        assert!(refused.error_description.bytes().all(legal), "{}", refused.error_description);
    }
    let form = Some(FORM);
    let none = Asked::read(form, b"a=b").unwrap_err();
    assert_eq!(
        (none.error, none.error_description.starts_with("grant_type is missing")),
        ("invalid_request", true)
    );
    let other = Asked::read(form, b"grant_type=client_credentials").unwrap_err();
    assert_eq!(other.error, "unsupported_grant_type");
    assert_eq!(Asked::read(Some("application/json"), b"{}").unwrap_err(), Refused::body());
    assert!(read("&client_id=me&unknown=1&scope=&calls=").unwrap().scopes.is_none(), "empty is absent");
}

#[test]
fn a_token_wider_than_its_parent_is_not_made() {
    let parent =
        TokenRecord { ip_allow: vec!["10.0.0.0/8".parse().unwrap()], ..record(&["openai", "GET /api/x/*"]) };
    for more in
        ["&scope=*", "&scope=GET:/api/*", "&scope=POST:/api/x/1", "&scope=/api/x/1", "&scope=openai+tag:ai"]
    {
        assert_eq!(derive(more, &parent).unwrap_err().error, "invalid_scope", "{more}");
    }
    for more in ["&ip=0.0.0.0/0", "&ip=10.1.0.0/16,192.0.2.1", "&ip=::/0"] {
        assert!(derive(more, &parent).unwrap_err().error_description.starts_with("ip:"), "{more}");
    }
    let made = derive("&scope=GET:/api/x/1+/api/openai/models&ip=10.1.0.0/16", &parent).unwrap().derived;
    assert_eq!(texts(&made.scopes), ["GET /api/x/1", "/api/openai/models"]);
    assert_eq!(derive("", &parent).unwrap().derived.scopes, parent.scopes, "the parent's if none are named");
}

#[test]
fn it_ends_with_its_parent_at_the_latest() {
    let ends = |more: &str, parent: &TokenRecord| derive(more, parent).unwrap().derived.ends_at;
    let parent = record(&["*"]);
    assert_eq!(ends("", &parent), 1_000 + 3_600_000);
    assert_eq!(ends("&expires_in=60", &parent), 61_000);
    assert_eq!(ends("", &TokenRecord { expires_at: Some(5_000), ..parent.clone() }), 5_000);
    assert_eq!(ends("", &TokenRecord { secret_ends_at: Some(4_000), ..parent }), 4_000);
}

#[test]
fn a_parent_that_may_not_call_or_derive_derives_nothing() {
    use crate::access::record::TokenState;
    let parent = record(&["*"]);
    for (parent, why) in [
        (TokenRecord { may_derive: false, ..parent.clone() }, "may not derive"),
        (TokenRecord { state: TokenState::Disabled, ..parent.clone() }, "not valid"),
        (TokenRecord { state: TokenState::Revoked, ..parent.clone() }, "not valid"),
        (TokenRecord { expires_at: Some(1_000), ..parent.clone() }, "has ended"),
        (TokenRecord { secret_ends_at: Some(1_000), ..parent.clone() }, "has ended"),
        (
            TokenRecord { ip_allow: vec!["192.0.2.0/24".parse().unwrap()], ..parent.clone() },
            "from this address",
        ),
    ] {
        let refused = derive("", &parent).unwrap_err();
        assert_eq!(refused.error, "invalid_request");
        assert!(refused.error_description.contains(why), "{}", refused.error_description);
    }
    assert_eq!(derive("", &record(&[])).unwrap_err().error, "invalid_scope");
}

#[test]
fn scopes_that_do_not_fit_are_refused_with_what_to_do() {
    let many: Vec<String> = (0..60).map(|n| format!("/api/{}/{n}", "x".repeat(60))).collect();
    let parent = record(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let refused = derive("", &parent).unwrap_err();
    assert_eq!(refused.error, "invalid_scope");
    assert!(refused.error_description.contains("in scope"), "{}", refused.error_description);
    assert!(derive(&format!("&scope={}", many[..20].join("+")), &parent).is_ok());
}

#[test]
fn a_token_in_the_wrong_parameter_is_not_repeated() {
    for more in ["&scope=ntd_abc:x", "&ip=ntk_abc", "&scope=a+ntd_abc%22"] {
        let refused = read(more).unwrap_err();
        assert!(!refused.error_description.contains("abc"), "{}", refused.error_description);
    }
}

#[test]
fn the_responses_are_pinned() {
    let issued = derive("&scope=GET:/api/x/*+tag:a&expires_in=60&calls=2", &record(&["*"])).unwrap();
    let json: serde_json::Value = serde_json::from_str(&issued.json(1_000)).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "access_token": issued.token.expose(),
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 60,
            "scope": "GET:/api/x/* tag:a",
        })
    );
    assert_eq!(
        Refused::is_derived().json(),
        r#"{"error":"invalid_request","error_description":"subject_token: a derived token cannot derive others."}"#
    );
}
