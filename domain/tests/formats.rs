//! Stored values are read by other versions: of the day before, and of the day after.
//!
//! The texts are what release `ee26f21` wrote, byte for byte. They are never edited; a format that no longer
//! reads them is broken.

#![expect(clippy::unwrap_used, reason = "clippy does not see a whole file as a test")]

use domain::access::record::TokenRecord;
use domain::ai::price::PriceList;
use domain::credential::Credential;
use domain::kv::{RouteTableV2, RouteV2, parse_routes};
use domain::limit::LimitKind;
use domain::limit::Limits;
use domain::limit::ledger::{Command, Granted, Ledger, Limited, Settlement, Take, Zone};
use domain::stored::KvError;
use domain::token::TokenHash;
use domain::upstream::settings::{AiProvider, RouteSettings};
use domain::usage::UsageMessage;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const TOKEN: &str = r#"{"v":2,"id":"tok_1","name":"n","team":"t","scopes":["*","tag:ai"],"expires_at":1,"state":"disabled","secret_ends_at":2,"ip_allow":["10.0.0.0/8"],"limits":{"calls_per_second":1,"calls_per_minute":2,"calls_per_hour":3,"calls_per_day":4,"calls_per_month":5,"concurrent_calls":6,"ai_tokens_per_day":7,"ai_tokens_per_month":8,"cost_micros_per_day":9,"cost_micros_per_month":10,"cost_micros_per_call":11,"ai_tokens_per_call":12,"body_bytes":13,"on_limit_failure":"allow"},"inject_faults":true,"version":3}"#;
const SETTINGS: &str = r#"{"failover":{"route_id":"rte_2","models":{"gpt-4o":"our-4o"}},"retry_within_s":20,"retry_any_method":true,"keep_errors":true,"key_in_query":true}"#;
const ROUTE: &str = r#"{"id":"rte_1","path":"/api/x","url":"https://x.example/v1","tags":["ai"],"methods":["GET"],"timeout_ms":5000,"cors_origins":["https://app.example"],"forward_cookies":true,"settings":{"ai":{"provider":"openai","include_usage":true},"failover":{"route_id":"rte_2","any_method":true},"maintenance":{"message":"m","retry_after_s":60}},"credential":"v1.AQEBAQEBAQEBAQEB._wA"}"#;
const PRICES: &str = r#"{"v":1,"prices":{"gpt-4o":{"prompt":2500000,"completion":10000000,"cached":1250000,"cache_write":1}}}"#;
const MESSAGE: &str = r#"{"v":1,"events":[{"id":"e1","at":1,"token_id":"tok_1","team":"ops","secret":"0123456789ab","route_id":"rte_1","route_path":"/api/x","path":"/api/x/1","method":"GET","status":200,"outcome":"ok","latency_ms":5,"gateway_ms":1,"duration_ms":6,"bytes_in":1,"bytes_out":9,"client_ip":"10.0.0.1","user_agent":"u","country":"TW","request_id":"req_1","ai":{"model":"m","prompt_tokens":1,"completion_tokens":2,"cached_tokens":3,"cache_write_tokens":4,"reasoning_tokens":5,"cost_micros":6}}],"dropped":1,"unknown_tokens":2}"#;
const LEDGER: &str = r#"{"windows":[[[89000000000050,1]],[[1483333333334,1]],[[24722222222,1]],[[1030092592,1]]],"day":{"ends_at":1780012800000,"calls":1,"tokens":0,"micros":0},"month":{"ends_at":1780272000000,"calls":1,"tokens":0,"micros":0},"open":{"c":{"tokens":3,"micros":4,"ends_at":1780000901000}},"clock":1780000001000}"#;
const TAKE: &str = r#"{"take":{"call":"c","limits":{"calls_per_day":5},"ask":{"tokens":3,"micros":4}}}"#;
const SETTLE: &str = r#"{"settle":{"call":"c","settlement":{"tokens":1,"micros":null}}}"#;
const GRANTED: &str =
    r#"{"uses":[{"kind":"calls-per-day","limit":5,"used":1,"reserved":0,"resets_at":9}],"to_settle":true}"#;
const LIMITED: &str = r#"{"kind":"calls-per-day","retry_after_ms":5,"uses":[]}"#;

fn hash() -> TokenHash {
    "0123456789abcdef".repeat(4).parse().unwrap()
}

fn table(route: &str) -> String {
    format!(r#"{{"v":2,"version":7,"legacy_tokens":true,"routes":[{route}]}}"#)
}

/// Reads the text and writes it again.
fn again<T: for<'a> Deserialize<'a> + Serialize>(text: &str) -> String {
    serde_json::to_string(&serde_json::from_str::<T>(text).unwrap()).unwrap()
}

#[test]
fn what_the_first_release_wrote_is_read_and_written_to_the_byte() {
    assert_eq!(serde_json::to_string(&domain::kv::read_token(TOKEN, &hash()).unwrap()).unwrap(), TOKEN);
    assert_eq!(again::<RouteV2>(ROUTE), ROUTE);
    assert_eq!(again::<RouteTableV2>(&table(ROUTE)), table(ROUTE));
    assert_eq!(again::<RouteSettings>(SETTINGS), SETTINGS);
    assert_eq!(again::<PriceList>(PRICES), PRICES);
    assert_eq!(again::<UsageMessage>(MESSAGE), MESSAGE);
    assert_eq!(again::<Ledger>(LEDGER), LEDGER);
    assert_eq!(again::<Command>(TAKE), TAKE);
    assert_eq!(again::<Command>(SETTLE), SETTLE);
    assert_eq!(again::<Granted>(GRANTED), GRANTED);
    assert_eq!(again::<Limited>(LIMITED), LIMITED);
    assert_eq!(parse_routes(&table(ROUTE), false).unwrap().unreadable, [""; 0]);
}

/// The values above use every field there was: what is written without a new one in use, the first release
/// with its strict types reads. This says so of the values that are empty, too.
#[test]
fn nothing_is_written_that_the_first_release_did_not_know_unless_it_is_in_use() {
    let minimal = r#"{"v":2,"id":"t","name":"n","team":"t","scopes":[],"state":"active","version":1}"#;
    assert_eq!(serde_json::to_string(&domain::kv::read_token(minimal, &hash()).unwrap()).unwrap(), minimal);
    assert_eq!(
        again::<RouteV2>(r#"{"id":"r","path":"/api","url":"https://x.example/"}"#),
        r#"{"id":"r","path":"/api","url":"https://x.example/"}"#
    );
    assert_eq!(again::<Limits>("{}"), "{}");
    assert_eq!(again::<RouteSettings>("{}"), "{}");
    let mut ledger = Ledger::default();
    let limits: Limits =
        serde_json::from_value(json!({"calls_per_second": 5, "concurrent_calls": 1})).unwrap();
    ledger.take(&Take { call: "c".into(), limits, ..Take::default() }, 1_780_000_001_000).unwrap();
    ledger.settle("c", Settlement::NOTHING, 1_780_000_001_000);
    let written = serde_json::to_value(&ledger).unwrap();
    let fields: Vec<&String> = written.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["clock", "day", "month", "open", "windows"]);
    assert_eq!(written["windows"].as_array().unwrap().len(), 4, "the first release reads exactly four");
}

#[test]
fn a_ledger_of_another_version_is_read_and_what_is_strange_in_it_is_kept() {
    let mut newer: Value = serde_json::from_str(LEDGER).unwrap();
    newer["more"] = json!({"calls-per-week": [[1, 5]]});
    newer["quarter"] = json!({"ends_at": 1});
    newer["day"]["images"] = json!(3);
    let mut ledger: Ledger = serde_json::from_value(newer).unwrap();
    let limits: Limits = serde_json::from_value(json!({"calls_per_day": 5})).unwrap();
    assert_eq!(ledger.uses(&limits, Zone::default(), 1_780_000_001_500)[0].used, 1);
    let written = serde_json::to_value(&ledger).unwrap();
    assert_eq!(
        (&written["more"], &written["quarter"]),
        (&json!({"calls-per-week": [[1, 5]]}), &json!({"ends_at": 1}))
    );
    // Fewer windows, and no fields at all.
    for older in ["{}", r#"{"windows":[[[89000000000050,1]]]}"#] {
        serde_json::from_str::<Ledger>(older).unwrap();
    }
}

#[test]
fn a_gateway_ignores_a_new_limit_and_setting_and_refuses_a_critical_one() {
    let with = |path: &str, field: &str, value: Value| {
        let mut token: Value = serde_json::from_str(TOKEN).unwrap();
        token.pointer_mut(path).unwrap()[field] = value;
        domain::kv::read_token(&token.to_string(), &hash())
    };
    assert!(with("/limits", "calls_per_fortnight", json!(5)).is_ok());
    assert!(with("", "note", json!({"a": 1})).is_ok());
    for path in ["", "/limits"] {
        assert!(with(path, "critical", json!(["name", "calls_per_day"])).is_ok(), "known ones are obeyed");
        assert!(with(path, "critical", json!("?")).is_err());
    }
    let mut hours: Value = serde_json::from_str(TOKEN).unwrap();
    for path in ["", "/limits"] {
        let object = hours.pointer_mut(path).unwrap();
        (object["hours"], object["critical"]) = (json!("9-17"), json!(["hours"]));
        assert_eq!(domain::kv::read_token(&hours.to_string(), &hash()), Err(KvError::NotUnderstood));
        hours = serde_json::from_str(TOKEN).unwrap();
    }
    for (field, value) in [("state", json!("paused")), ("v", json!(3)), ("ip_allow", json!(["country:TW"]))] {
        assert_eq!(
            with("", field, value),
            Err(KvError::NotUnderstood),
            "{field}: a narrowing that cannot be read"
        );
    }
    let partly = with("", "ip_allow", json!(["country:TW", "10.0.0.0/8"])).unwrap();
    assert_eq!(partly.ip_allow, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(with("", "scopes", json!(["?? new", "openai"])).unwrap().scopes, ["openai".parse().unwrap()]);
    let failing = with("/limits", "on_limit_failure", json!("queue")).unwrap().limits;
    assert_eq!(
        failing.on_failure(),
        domain::limit::OnLimitFailure::Deny,
        "the stricter stands for an unknown one"
    );
    assert_eq!(serde_json::to_value(failing).unwrap()["on_limit_failure"], "queue", "and is kept");
}

#[test]
fn a_route_with_a_critical_setting_is_blocked_alone() {
    let other = r#"{"id":"b","path":"/api/b","url":"https://b.example"}"#;
    for path in ["", "/settings", "/settings/ai", "/settings/failover", "/settings/maintenance"] {
        let mut route: Value = serde_json::from_str(ROUTE).unwrap();
        route.pointer_mut(path).unwrap()["strict"] = json!(true);
        let ignored = parse_routes(&table(&format!("{route},{other}")), false).unwrap();
        assert_eq!(ignored.unreadable, [""; 0], "{path}");
        route.pointer_mut(path).unwrap()["critical"] = json!(["strict"]);
        let blocked = parse_routes(&table(&format!("{route},{other}")), false).unwrap();
        assert_eq!(
            (blocked.unreadable, blocked.table.iter().count()),
            (vec!["rte_1".to_owned()], 1),
            "{path}"
        );
    }
    let provider = ROUTE.replace("\"openai\"", "\"newer\"");
    let route: RouteV2 = serde_json::from_str(&provider).unwrap();
    assert_eq!(route.settings.ai.as_ref().unwrap().provider, AiProvider::OpenaiCompatible);
    assert_eq!(
        serde_json::to_string(&route.settings.ai).unwrap(),
        r#"{"include_usage":true,"provider":"newer"}"#
    );
}

#[test]
fn a_change_by_an_older_version_keeps_what_it_does_not_know() {
    let read = |value: Value| serde_json::from_value::<Limits>(value).unwrap();
    let stored = read(json!({"calls_per_day": 5, "calls_per_fortnight": 9, "on_limit_failure": "queue"}));
    let changed = read(json!({"calls_per_day": 6, "on_limit_failure": "allow"})).over(&stored);
    assert_eq!(
        serde_json::to_value(changed).unwrap(),
        json!({"calls_per_day": 6, "calls_per_fortnight": 9, "on_limit_failure": "allow"})
    );
    let read = |value: Value| serde_json::from_value::<RouteSettings>(value).unwrap();
    let stored = read(
        json!({"magic": 1, "ai": {"provider": "newer", "mode": 1}, "maintenance": {"message": "m", "retry_after_s": 1, "until": 5}}),
    );
    let changed = read(json!({"ai": {"provider": "openai"}})).over(&stored);
    assert_eq!(
        serde_json::to_value(changed).unwrap(),
        json!({"magic": 1, "ai": {"provider": "openai", "mode": 1}})
    );
}

#[test]
fn a_counter_of_a_newer_version_is_understood() {
    let granted: Granted = serde_json::from_str(
        &GRANTED
            .replace("[{", r#"[{"kind":"calls-per-week","limit":1,"used":1,"reserved":0,"resets_at":1},{"#),
    )
    .unwrap();
    assert_eq!(granted.uses.len(), 1);
    let limited: Limited = serde_json::from_str(&LIMITED.replace("calls-per-day", "calls-per-week")).unwrap();
    assert_eq!(limited.kind, LimitKind::CallsPerMinute);
}

#[test]
fn one_price_of_a_newer_version_does_not_take_the_list_with_it() {
    let list =
        PriceList::parse(r#"{"v":1,"prices":{"a":{"prompt":1,"completion":2,"audio":3},"b":{"tiers":[]}}}"#)
            .unwrap();
    assert_eq!((list.find("a").unwrap().completion, list.find("b")), (2, None));
}

#[test]
fn a_sealed_credential_of_a_newer_version_is_opened_unless_it_says_not_to() {
    let with = |more: &str| {
        Credential::from_plaintext(format!(r#"{{"kind":"bearer","token":"s3cret"{more}}}"#).as_bytes())
    };
    assert_eq!(with(r#","note":1"#), with(""));
    assert!(with("").is_some() && with(r#","only":"eu","critical":["only"]"#).is_none());
    assert!(Credential::from_plaintext(br#"{"kind":"newer","token":"s3cret"}"#).is_none());
    assert!(
        serde_json::from_str::<Credential>(r#"{"kind":"bearer","token":"t","note":1}"#).is_err(),
        "a request is strict"
    );
}

/// Adds a field to one of the objects in a value, by its number.
fn add_field(value: &mut Value, at: &mut usize, name: &str, new: &Value) {
    match value {
        Value::Object(fields) => {
            if *at == 0 && !fields.contains_key(name) {
                fields.insert(name.to_owned(), new.clone());
            }
            *at = at.wrapping_sub(1);
            fields.values_mut().for_each(|value| add_field(value, at, name, new));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| add_field(value, at, name, new)),
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,9}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,6}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The value without the field.
fn without(value: &Value, name: &str) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| *key != name)
            .map(|(key, value)| (key.clone(), without(value, name)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(values) => values.iter().map(|value| without(value, name)).collect(),
        other => other.clone(),
    }
}

fn known_stays<T: for<'a> Deserialize<'a> + Serialize>(
    text: &str,
    at: usize,
    name: &str,
    new: &Value,
) -> Result<(), TestCaseError> {
    let mut stored: Value = serde_json::from_str(text).unwrap();
    let was = without(&stored, name);
    add_field(&mut stored, &mut { at }, name, new);
    let read = serde_json::from_value::<T>(stored).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(without(&serde_json::to_value(&read).unwrap(), name), was);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A field that is not known, at any depth of any stored value, changes nothing of the others.
    #[test]
    fn an_unknown_field_changes_nothing_of_the_known_ones(at in 0_usize..8, name in "x_[a-z]{1,8}", new in any_json()) {
        known_stays::<TokenRecord>(TOKEN, at.min(1), &name, &new)?;
        known_stays::<RouteTableV2>(&table(ROUTE), at.min(5), &name, &new)?;
        known_stays::<UsageMessage>(MESSAGE, at.min(2), &name, &new)?;
        known_stays::<Ledger>(LEDGER, if at == 3 { 4 } else { at.min(4) }, &name, &new)?;
        known_stays::<Command>(TAKE, 1 + at % 3, &name, &new)?;
        known_stays::<Command>(SETTLE, 1 + at % 2, &name, &new)?;
        known_stays::<Granted>(GRANTED, at.min(1), &name, &new)?;
        known_stays::<Limited>(LIMITED, 0, &name, &new)?;
        known_stays::<PriceList>(PRICES, if at % 2 == 0 { 0 } else { 2 }, &name, &new)?;
    }
}
