mod brute;

use super::report::Workflow;
use super::*;
use crate::access::path::RequestPath;
use crate::access::record::{TokenRecord, TokenState};
use crate::access::{Call, decide};
use crate::limit::Limits;
use crate::limit::ledger::Zone;
use crate::route::tests::route;
use crate::route::{Route, RouteTable};
use crate::time::{DAY_MS, MINUTE_MS};
use crate::usage::UsageEvent;
use crate::usage::outcome::Outcome;
use crate::usage::segment::{RawCall, Recorded, Search, each, encode, sort};
use crate::usage::tests::event;
use report::Untold;
use std::sync::Arc;

const NOW: UnixMs = 20_000 * DAY_MS + 12 * 60 * MINUTE_MS;
const START: UnixMs = NOW - 90 * MINUTE_MS;

fn token(id: &str, scopes: &[&str]) -> TokenRecord {
    TokenRecord {
        v: 2,
        id: id.into(),
        name: format!("name of {id}"),
        team: "ops".into(),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        cap: None,
        expires_at: None,
        state: TokenState::Active,
        secret_ends_at: None,
        ip_allow: vec![],
        limits: Limits::default(),
        team_budget: Limits::default(),
        zone: Zone::default(),
        inject_faults: false,
        may_derive: false,
        version: 1,
    }
}

fn policy(routes: impl IntoIterator<Item = Route>, tokens: impl IntoIterator<Item = TokenRecord>) -> Policy {
    let tokens = tokens.into_iter().map(|token| (token.id.clone(), Arc::new(token))).collect();
    Policy { table: Arc::new(RouteTable::new(routes, false, 1)), tokens }
}

fn change(subject: Subject, before: Policy, after: Policy) -> Change {
    Change { subject, before, after, now: NOW, from: START }
}

/// Takes events in as the admin API does, from a segment.
fn taken(events: &[UsageEvent], most: usize) -> Calls {
    let mut raw = RawCall::all_of(events);
    sort(&mut raw);
    let mut calls = Calls::new(most);
    let search = Search { before: (NOW + 1, String::new()), ..Search::default() };
    each(&encode(&raw).unwrap(), &search, |call| calls.add(call)).unwrap();
    calls
}

fn calls(paths: &[&str]) -> Vec<UsageEvent> {
    let call = |(i, path): (usize, &&str)| UsageEvent {
        id: format!("e{i}"),
        request_id: format!("r{i}").as_str().into(),
        at: START + UnixMs::try_from(i).unwrap(),
        token_id: "tok_0".into(),
        path: (*path).into(),
        ..event()
    };
    paths.iter().enumerate().map(call).collect()
}

fn tried(before: TokenRecord, after: TokenRecord) -> Report {
    let routes = || [route("/api/x", "https://h.example"), route("/api/y", "https://h.example")];
    let change = change(Subject::Token, policy(routes(), [before]), policy(routes(), [after]));
    run(taken(&calls(&["/api/x/1", "/api/y/1", "/api/y/1"]), 9), &change, None)
}

#[test]
fn expiry_is_a_question_of_now() {
    let ends = |at| TokenRecord { expires_at: Some(at), ..token("tok_0", &["*"]) };
    let counts = |report: Report| (report.refused, report.already_refused, report.restored);
    assert_eq!(counts(tried(token("tok_0", &["*"]), ends(NOW + DAY_MS))), (0, 0, 0));
    assert_eq!(counts(tried(token("tok_0", &["*"]), ends(NOW))), (3, 0, 0));
    assert_eq!(counts(tried(ends(NOW - 1), ends(NOW))), (0, 3, 0));
    assert_eq!(counts(tried(ends(NOW - 1), ends(NOW + 1))), (0, 0, 3));
}

#[test]
fn a_workflow_is_named_with_its_newest_call() {
    let report = tried(token("tok_0", &["*"]), token("tok_0", &["x"]));
    assert_eq!((report.looked_at, report.refused, report.back_to), (3, 2, Some(START)));
    let Workflow { token_name, path, code, calls, last_at, last_id, request_id, .. } = &report.workflows[0];
    assert_eq!(
        (token_name.as_str(), path.as_str(), code.as_str()),
        ("name of tok_0", "/api/y/1", "permission-denied")
    );
    assert_eq!((*calls, *last_at, last_id.as_str(), request_id.as_str()), (2, START + 2, "e2", "r2"));
}

#[test]
fn calls_of_a_deleted_route_fall_to_the_shorter_one() {
    let [wide, deep] = ["/api", "/api/x"].map(|path| route(path, "https://h.example"));
    let tokens = || [token("tok_0", &["route:rte_/api"])];
    let change = change(
        Subject::Route("rte_/api/x".into()),
        policy([wide.clone(), deep], tokens()),
        policy([wide], tokens()),
    );
    let mut events = calls(&["/api/x/1", "/api/y/1"]);
    for event in &mut events {
        event.outcome = Outcome::DeniedScope;
    }
    let report = run(taken(&events, 9), &change, None);
    assert_eq!((report.looked_at, report.admitted), (1, 1), "the other call is not the route's");
}

#[test]
fn what_calls_cannot_tell_is_said() {
    let limited = |limits| TokenRecord { limits, ..token("tok_0", &["*"]) };
    let most = Limits { calls_per_minute: Some(2), concurrent_calls: Some(1), ..Limits::default() };
    let report = tried(token("tok_0", &["*"]), limited(most.clone()));
    assert_eq!(report.untold, [Untold::ConcurrentCalls, Untold::EarlierUse]);
    assert_eq!((report.refused, report.steps[0].code.as_str()), (1, "rate-limit-exceeded"));
    assert_eq!(tried(limited(most.clone()), limited(most)).untold, [], "no limit changes");
}

#[test]
fn calls_that_may_be_missing_are_not_looked_at() {
    let change = change(
        Subject::Token,
        policy([route("/api", "https://h.example")], [token("tok_0", &["*"])]),
        policy([route("/api", "https://h.example")], [token("tok_0", &["*"])]),
    );
    let report = run(taken(&calls(&["/api/1"; 5]), 9), &change, Some(START + 1));
    assert_eq!((report.looked_at, report.back_to, report.is_whole), (3, Some(START + 2), false));
    let twice = [calls(&["/api/1"; 5]), calls(&["/api/1"; 5])].concat();
    assert_eq!(run(taken(&twice, 20), &change, None).looked_at, 5, "a call counts once");
}

#[test]
fn derived_tokens_end_with_the_permission_to_derive() {
    let of = |may_derive| {
        let token = TokenRecord { may_derive, ..token("tok_a", &["a"]) };
        policy([route("/api/a", "https://h.example")], [token])
    };
    let mut calls = Calls::new(10);
    for (id, path, derived) in [("1", "/api/a", ""), ("2", "/api/a", "nonce"), ("3", "/token", "nonce")] {
        let call = Recorded {
            id,
            at: START,
            token: "tok_a",
            method: "GET",
            path,
            outcome: "ok",
            derived,
            ..Recorded::default()
        };
        calls.add(&call);
    }
    let report = run(calls, &change(Subject::Token, of(true), of(false)), None);
    let step = &report.steps[0];
    assert_eq!((report.refused, report.already_refused), (1, 0));
    assert_eq!((step.outcome.as_str(), step.calls), ("denied-disabled", 1));
}

#[test]
fn a_million_calls_are_decided_as_one_by_one() {
    const CALLS: usize = 1_000_000;
    let paths: Vec<String> = (0..400).map(|i| format!("/api/s{}/{i}", i % 40)).collect();
    let ips: Vec<String> = (0..7).map(|i| format!("10.0.0.{i}")).collect();
    let ids: Vec<String> = (0..5).map(|i| format!("tok_{i}")).collect();
    let scopes: Vec<String> = (0..40).map(|i| format!("s{i}")).collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let routes = || (0..40).map(|i| route(&format!("/api/s{i}"), "https://h.example"));
    let of = |scopes: &[&str]| policy(routes(), ids.iter().map(|id| token(id, scopes)));
    let change = change(Subject::Team, of(&scopes), of(&scopes[1..]));
    let mut calls = Calls::new(CALLS);
    let mut refused = 0;
    for i in 0..CALLS {
        let (id, path) = (i.to_string(), &paths[i * 7 % paths.len()]);
        let call = Recorded {
            id: &id,
            at: START + UnixMs::try_from(i).unwrap(),
            token: &ids[i % 5],
            method: "GET",
            path,
            outcome: "ok",
            client_ip: &ips[i % 7],
            ..Recorded::default()
        };
        calls.add(&call);
        let path = RequestPath::recorded(path);
        let again = Call { method: "GET", path: &path, client_ip: ips[i % 7].parse().ok(), now: NOW };
        let token = &change.after.tokens[&ids[i % 5].as_str().into()];
        refused += u64::from(decide(token, &change.after.table, &again).is_err());
    }
    let report = run(calls, &change, None);
    assert_eq!((report.looked_at, report.refused), (CALLS as u64, refused));
    assert!(refused > 20_000 && report.workflows.len() == 10);
}

#[test]
fn the_newest_calls_of_as_many_tokens_as_there_is_room_for_are_kept() {
    let events: Vec<UsageEvent> = calls(&["/api/x/1"; 6])
        .into_iter()
        .zip(["a", "b", "a", "c", "b", "c"])
        .map(|(event, token)| UsageEvent { token_id: token.into(), ..event })
        .collect();
    let kept = |most: usize| {
        let mut calls = taken(&events, 9);
        let mut tokens: Vec<String> = calls.tokens(most).iter().map(ToString::to_string).collect();
        tokens.sort();
        let is_whole = calls.keep_newest(None);
        (tokens.concat(), calls.rows().len(), is_whole)
    };
    assert_eq!(kept(3), ("abc".into(), 6, true));
    assert_eq!(kept(2), ("bc".into(), 3, false));
    assert_eq!(kept(1), ("c".into(), 1, false));
}
