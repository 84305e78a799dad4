use super::*;
use crate::v1::dump::{OCCURRENCE, settings_parts};
use serde_json::json;

fn dump(kv: &Value, tables: Value) -> Plan {
    let kv = kv.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    plan(&kv, &serde_json::from_value(tables).unwrap(), false)
}

fn hash(digit: &str) -> String {
    digit.repeat(64)
}

fn token_key(digit: &str) -> String {
    format!("token:{}", hash(digit))
}

#[test]
fn a_token_keeps_its_hash_scopes_and_end() {
    let entry = r#"{"name":"n8n","department":"Marketing","scopes":["openai","tag:ai","a b"],"created_at":"2025-11-01T00:00:00","expires_at":"2026-11-01T08:00:00+08:00"}"#;
    let plan = dump(&json!({ token_key("a"): entry }), json!({}));
    let (token, notes) = &plan.tokens[0];
    assert_eq!(token.hash.as_str(), hash("a"));
    assert_eq!(token.team.as_str(), "marketing");
    assert_eq!(token.scopes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["openai", "tag:ai"]);
    assert_eq!(token.created_at, Some(1_761_955_200_000), "without a zone it is UTC");
    assert_eq!(token.expires_at, Some(1_793_491_200_000));
    assert!(notes[0].message.contains("\"a b\"") && !token.is_disabled);
    assert_eq!(plan.teams[0].0.id.as_str(), "marketing");
}

/// Parity fault 4: a missing scope list became `*`.
#[test]
fn a_token_without_scopes_grants_nothing_and_that_is_said() {
    let plan = dump(&json!({ token_key("a"): {"name": "n", "team_id": "x"} }), json!({}));
    assert_eq!(plan.tokens[0].0.scopes, []);
    assert!(plan.tokens[0].1[0].message.contains("grants nothing"));
}

#[test]
fn entries_that_cannot_be_imported_are_named() {
    let plan = dump(
        &json!({
            "token:short": {"name": "n"},
            token_key("a"): "not json",
            token_key("b"): {"name": "n", "expires_at": "soon"},
            token_key("c"): {"v": 2, "name": "n"},
            token_key("d"): {},
            "stray": "x",
            "routes": {"/api/bad": "ftp://x.example", "/api/local": "https://127.0.0.1"},
        }),
        json!({"tokens": [{"name": "no hash"}], "routes": [{"path": "/api/only-in-table"}], "token_usage_logs": 5}),
    );
    let subjects: Vec<&str> = plan.refused.iter().map(|item| item.subject.as_str()).collect();
    for subject in [
        "short",
        &hash("a"),
        &hash("b"),
        &hash("c"),
        &hash("d"),
        "stray",
        "/api/bad",
        "/api/local",
        "no hash",
        "/api/only-in-table",
        "token_usage_logs",
    ] {
        assert!(subjects.contains(&subject), "{subject}: {subjects:?}");
    }
    assert!(plan.tokens.is_empty() && plan.routes.is_empty());
}

#[test]
fn a_route_to_a_host_in_unicode_is_read_as_the_platform_writes_it() {
    let routes = json!({"/api/books": "https://bücher.example/v1"});
    let kv = [("routes".to_owned(), routes)].into();
    let to_ascii = |text: &str| text.replace("bücher", "xn--bcher-kva");
    let plan = plan(&kv, &BTreeMap::new(), AddressRules { allow_insecure: false, to_ascii });
    let (route, _) = &plan.routes[0];
    assert_eq!(route.upstream.as_str(), "https://xn--bcher-kva.example/v1");
}

/// Parity fault 5: a missing credential meant the call went out without one.
#[test]
fn a_route_takes_its_secret_along_or_is_disabled() {
    let plan = dump(
        &json!({
            "routes": {
                "/api/openai": {"url": "https://api.openai.com/v1", "tags": ["ai"], "auth": {"type": "bearer", "config": {"token_ref": "OPENAI_API_KEY"}}},
                "/api/lost": {"url": "https://lost.example", "auth": {"type": "api-key", "config": {"key_ref": "LOST"}}},
                "/api/open": "https://open.example",
            },
            "secret:OPENAI_API_KEY": {"value": "vendor-key"},
        }),
        json!({"routes": "path,name,description\n/api/openai,OpenAI,\"Models, mostly\"\n"}),
    );
    let route = |path: &str| plan.routes.iter().find(|(r, _)| r.path.as_str() == path).unwrap();
    let (openai, _) = route("/api/openai");
    assert_eq!((openai.name.as_str(), openai.description.as_deref()), ("OpenAI", Some("Models, mostly")));
    assert!(
        matches!(&openai.credential, Some(Credential::Bearer { token }) if token.expose() == "vendor-key")
    );
    assert!(openai.enabled && route("/api/open").0.enabled);
    let (lost, notes) = route("/api/lost");
    assert!(!lost.enabled && lost.credential.is_none() && notes[0].message.contains("LOST"));
}

#[test]
fn a_token_that_is_only_in_the_table_did_not_work_and_does_not() {
    let rows = json!([{"token_hash": hash("a"), "name": "gone", "team_id": "ops", "scopes": "[\"*\"]"}, {"token_hash": hash("b"), "name": "off", "team_id": "ops", "is_active": "false", "scopes": "a,b"}]);
    let plan = dump(
        &json!({ token_key("b"): {"name": "off", "team_id": "ops", "scopes": ["a", "b"]} }),
        json!({ "tokens": rows }),
    );
    assert_eq!(plan.tokens.len(), 2);
    assert!(plan.tokens.iter().all(|(token, notes)| token.is_disabled && !notes.is_empty()));
}

#[test]
fn calls_come_from_json_and_csv_alike_and_keep_their_ids() {
    let h = hash("a");
    let list = json!([{"token_hash": h, "route": "/api/openai", "timestamp": "2025-11-01T00:00:00", "response_status": "200", "response_time_ms": "12.5", "request_method": "POST"}]);
    let csv = format!(
        "token_hash,route,timestamp,response_status,response_time_ms,request_method\n{h},/api/openai,2025-11-01T00:00:00,200,12.5,POST\n,,,,,\n"
    );
    let a = dump(&json!({}), json!({ "token_usage_logs": list }));
    let b = dump(&json!({}), json!({ "token_usage_logs": csv }));
    assert_eq!(a.calls[0].event, b.calls[0].event);
    assert_eq!((a.calls[0].event.status, a.calls[0].event.latency_ms), (200, 12));
    assert!(a.calls[0].event.id.len() <= 64);
    assert!(b.refused[0].notes[0].message.starts_with("1 rows"));
}

#[test]
fn two_calls_that_look_alike_are_two() {
    let row = json!({"token_hash": hash("a"), "route": "/x", "timestamp": 1, "response_status": 200});
    let plan = dump(&json!({}), json!({"token_usage_logs": [row, row]}));
    assert_ne!(plan.calls[0].event.id, plan.calls[1].event.id);
    assert!(plan.calls[1].event.id.len() <= 64);
}

/// Calls counted between the cut-over and the import belong to the token all the same.
#[test]
fn the_gateway_counts_under_the_ids_that_the_import_makes() {
    let entry = json!({"name": "n", "department": "Growth & Data", "scopes": ["*"]});
    let routes = json!({"/api/x/": {"url": "https://x.example"}, "/api/y": "https://y.example"});
    let plan = dump(&json!({ token_key("a"): entry, "routes": routes }), json!({}));
    let token = &plan.tokens[0].0;
    let record = crate::kv::read_token(&entry.to_string(), &token.hash).unwrap();
    assert_eq!((record.id, record.team), (token.id.clone(), token.team.clone()));
    let table = crate::kv::parse_routes(&routes.to_string(), false).unwrap().table;
    let ids = |ids: Vec<&RouteId>| {
        ids.into_iter().map(ToString::to_string).collect::<std::collections::BTreeSet<_>>()
    };
    let made = ids(plan.routes.iter().map(|(route, _)| &route.id).collect());
    assert_eq!(ids(table.iter().map(|route| &route.rule.id).collect()), made);
    assert_eq!(made.len(), 2);
    let nameless = json!({"name": "n", "team_id": " "});
    let plan = dump(&json!({ token_key("b"): nameless }), json!({}));
    let record = crate::kv::read_token(&nameless.to_string(), &plan.tokens[0].0.hash).unwrap();
    assert_eq!(record.team, plan.tokens[0].0.team);
}

#[test]
fn a_call_with_an_equal_in_another_part_counts_and_a_repeated_part_does_not() {
    let row = |n: Option<u64>| {
        let mut row = json!({"token_hash": hash("a"), "route": "/x", "timestamp": 1, "response_status": 200});
        if let Some(n) = n {
            row[OCCURRENCE] = n.into();
        }
        row
    };
    let ids = |rows: Vec<Value>| -> Vec<String> {
        let plan = dump(&json!({}), json!({ "token_usage_logs": rows }));
        plan.calls.into_iter().map(|call| call.event.id).collect()
    };
    let (first, second) = (ids(vec![row(None), row(Some(1))]), ids(vec![row(Some(2)), row(Some(3))]));
    assert!(first.iter().all(|id| !second.contains(id)), "{first:?} {second:?}");
    assert_eq!(first, ids(vec![row(Some(0)), row(Some(1))]), "a part again has the same ids");
    let csv = format!(
        "token_hash,route,timestamp,response_status,{OCCURRENCE}\n{},/x,2025-11-01T00:00:00,200,7\n",
        hash("a")
    );
    let plan = dump(&json!({}), json!({ "token_usage_logs": csv }));
    assert!(plan.calls[0].event.id.ends_with(".7") && plan.calls[0].event.id.len() <= 64);
}

#[test]
fn parts_of_a_dump_can_be_planned_alone_and_add_up_to_the_whole() {
    let mut kv = BTreeMap::from([
        ("routes".to_owned(), json!({"/api/x": "https://x.example"})),
        ("odd".to_owned(), json!(1)),
    ]);
    for digit in ["a", "b", "c"] {
        kv.insert(token_key(digit), json!({"name": digit, "team_id": "ops", "scopes": ["*"]}));
    }
    let tokens = format!(
        "token_hash,name,is_active\n{},b,false\n{},only here,true\n,nobody,true\n",
        hash("b"),
        hash("d")
    );
    let tables = BTreeMap::from([(Table::Tokens, tokens.into()), (Table::Teams, json!([{"id": "ops"}]))]);
    let whole = plan(&kv, &tables, false);
    let parts = settings_parts(kv, tables, 2).unwrap();
    assert_eq!(parts.len(), 3, "what is no token, then two and two");
    let plans: Vec<Plan> = parts.iter().map(|(kv, tables)| plan(kv, tables, false)).collect();
    let mut tokens: Vec<ImportedToken> =
        plans.iter().flat_map(|plan| plan.tokens.iter().map(|(token, _)| token.clone())).collect();
    tokens.sort_by(|a, b| a.hash.cmp(&b.hash));
    let mut wanted: Vec<ImportedToken> = whole.tokens.iter().map(|(token, _)| token.clone()).collect();
    wanted.sort_by(|a, b| a.hash.cmp(&b.hash));
    assert_eq!(tokens, wanted);
    assert_eq!(tokens.iter().filter(|token| token.is_disabled).count(), 2, "a row goes with its entry");
    assert_eq!(plans.iter().map(|plan| plan.refused.len()).sum::<usize>(), whole.refused.len());
    assert_eq!(plans.iter().filter(|plan| plan.has_route_table).count(), 1);
}

#[test]
fn teams_become_slugs_and_different_ones_stay_different() {
    let id = |name: &str| v1::team_id(name).to_string();
    assert_eq!(id("Growth & Data"), "growth---data");
    assert_eq!(id("  "), UNKNOWN_TEAM);
    assert_ne!(id("行銷"), id("工程"));
    for name in ["Growth & Data", "行銷", "--", "x".repeat(99).as_str()] {
        assert!(v1::team_id(name).is_well_formed(), "{name}");
    }
}

#[test]
fn every_form_that_wrangler_writes_is_read() {
    let token = r#"{"name":"n","team_id":"ops","scopes":["*"]}"#;
    let routes =
        r#"{"/api/x":{"url":"https://x.example","auth":{"type":"bearer","config":{"token_ref":"K"}}}}"#;
    let secret = r#"{"value":"vendor-key"}"#;
    let texts = json!({ token_key("a"): token, "routes": routes, "secret:K": secret });
    let wrapped = json!({
        token_key("a"): { "value": token }, "routes": { "value": routes, "metadata": null },
        "secret:K": { "value": secret },
    });
    let objects = json!({
        token_key("a"): serde_json::from_str::<Value>(token).unwrap(),
        "routes": serde_json::from_str::<Value>(routes).unwrap(), "secret:K": { "value": "vendor-key" },
    });
    for kv in [texts, wrapped, objects] {
        let plan = dump(&kv, json!({}));
        assert_eq!(plan.tokens[0].0.scopes, [Scope::All], "{kv}");
        assert!(
            matches!(&plan.routes[0].0.credential, Some(Credential::Bearer { token }) if token.expose() == "vendor-key"),
            "{kv}"
        );
        assert!(plan.has_route_table && plan.refused.is_empty(), "{kv}");
    }
    assert!(!dump(&json!({ token_key("a"): token }), json!({})).has_route_table);
    assert!(!dump(&json!({ "routes": "no table" }), json!({})).has_route_table);
}

/// Parity fault 4: a missing scope list became `*`.
#[test]
fn the_table_gives_no_scopes_to_a_token_that_has_none_in_kv() {
    let rows = json!([{"token_hash": hash("a"), "name": "n", "team_id": "ops", "scopes": ["*"]}]);
    let plan = dump(&json!({ token_key("a"): {"name": "n", "team_id": "ops"} }), json!({ "tokens": rows }));
    assert!(plan.tokens[0].0.scopes.is_empty() && !plan.tokens[0].0.is_disabled);
}
