use super::*;
use crate::time::{DAY_MS, SECOND_MS};
use crate::usage::tests::event;
use proptest::prelude::*;

const START: UnixMs = 20_000 * DAY_MS;

fn raw(at: UnixMs, id: &str, token: &str, outcome: Outcome) -> RawCall {
    let event = UsageEvent {
        at,
        id: id.to_owned(),
        token_id: token.into(),
        outcome,
        status: if outcome == Outcome::Ok { 200 } else { 403 },
        ..event()
    };
    RawCall::all_of(&[event]).pop().unwrap()
}

proptest! {
    #[test]
    fn calls_survive_a_segment(calls in proptest::collection::vec((0_i64..DAY_MS, "[a-z]{1,9}", 0..Outcome::ALL.len()), 0..50)) {
        let mut calls: Vec<RawCall> =
            calls.iter().map(|(at, id, outcome)| raw(START + at, id, "tok_1", Outcome::ALL[*outcome])).collect();
        sort(&mut calls);
        prop_assert_eq!(decode(&encode(&calls).unwrap()).unwrap(), calls);
    }

    /// A search that a head rules out finds nothing in the segment.
    #[test]
    fn a_head_hides_no_call(calls in proptest::collection::vec(("tok_[a-c]{7}", 0..Outcome::ALL.len()), 1..20), pick: prop::sample::Index) {
        let calls: Vec<RawCall> =
            calls.iter().enumerate().map(|(i, (token, outcome))| raw(START, &i.to_string(), token, Outcome::ALL[*outcome])).collect();
        let event = pick.get(&calls).event().unwrap();
        let search = Search {
            before: (START + 1, String::new()),
            teams: Some(vec!["other".into(), event.team.clone()]),
            token: Some(event.token_id.clone()),
            routes: event.route_id.clone().map(|id| vec!["other".into(), id]),
            outcome: Some(event.outcome),
            status: Some(Statuses::Class(event.status / 100)),
            method: Some(event.method.to_string()),
            ..Search::default()
        };
        let head = head(&calls);
        prop_assert!(search.words().iter().all(|words| words.iter().any(|word| head.contains(word))), "{}", head);
        prop_assert!(search.finds(pick.get(&calls)));
    }
}

#[test]
fn a_head_rules_out_what_is_not_inside() {
    let head = head(&[raw(START, "a", "tok_abcdefgh", Outcome::Ok)]);
    for search in [
        Search { outcome: Some(Outcome::Timeout), ..Search::default() },
        Search { status: Some(Statuses::Exact(503)), ..Search::default() },
        Search { token: Some("tok_other111".into()), ..Search::default() },
        Search { teams: Some(vec![]), ..Search::default() },
    ] {
        assert!(
            !search.words().iter().all(|words| words.iter().any(|word| head.contains(word))),
            "{search:?}"
        );
    }
}

#[test]
fn a_field_of_a_newer_version_survives_and_its_outcome_is_read_by_status() {
    let text = br#"{"calls":1,"columns":{"id":["a"],"at":[5],"token_id":["t"],"team":["x"],"path":["/"],"method":["GET"],"status":[503],"outcome":["denied-moon"],"latency_ms":[1],"gateway_ms":[1],"request_id":["r"],"label":["nightly"]}}"#;
    let calls = decode(text).unwrap();
    assert_eq!(calls[0].event().unwrap().outcome, Outcome::UpstreamError);
    assert!(String::from_utf8(encode(&calls).unwrap()).unwrap().contains("nightly"));
}

#[test]
fn a_search_lists_the_newest_of_all_segments_once() {
    let mut found = Found::new(3);
    found.add(vec![raw(5, "a", "t", Outcome::Ok), raw(1, "b", "t", Outcome::Ok)]);
    assert!(!found.is_full_at(0));
    found.add(vec![
        raw(5, "a", "t", Outcome::Ok),
        raw(5, "c", "t", Outcome::Ok),
        raw(2, "d", "t", Outcome::Ok),
    ]);
    assert!(found.is_full_at(1) && !found.is_full_at(2));
    let ids: Vec<String> = found.into_calls().iter().map(|call| call.text("id").to_owned()).collect();
    assert_eq!(ids, ["c", "a", "d"]);
}

#[test]
fn a_search_picks_its_calls_and_a_value_of_all_calls_stands_once() {
    let calls: Vec<RawCall> = (0..9)
        .map(|i| raw(START - i, &i.to_string(), if i % 3 == 0 { "tok_b" } else { "tok_a" }, Outcome::Ok))
        .collect();
    let bytes = encode(&calls).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(r#""method":"GET""#) && text.contains(r#""token_id":["tok_b""#), "{text}");
    assert_eq!(decode(&bytes).unwrap(), calls);
    let search =
        Search { token: Some("tok_b".into()), before: (START - 1, String::new()), ..Search::default() };
    assert_eq!(pick(&bytes, &search).unwrap(), [calls[3].clone(), calls[6].clone()]);
    let all = Search { before: (START + 1, String::new()), ..Search::default() };
    assert_eq!(pick(&bytes, &all).unwrap(), calls);
}

#[test]
fn a_token_of_a_large_segment_is_in_few_blocks_and_the_newest_calls_in_one() {
    let count = i64::try_from(LARGE_CALLS).unwrap();
    let token = |i: i64| if i % 1_000 == 999 { "quiet".to_owned() } else { format!("tok_{}", i % 40) };
    let calls: Vec<RawCall> =
        (0..count).map(|i| raw(START - i, &i.to_string(), &token(i), Outcome::Ok)).collect();
    let large = blocks(calls.clone());
    assert!(large.iter().all(|block| !block.is_empty() && block.len() <= BLOCK_CALLS));
    assert_eq!(large[0], calls[..BLOCK_CALLS]);
    let with_quiet = |blocks: &[Vec<RawCall>]| {
        blocks.iter().filter(|block| block.iter().any(|call| call.text("token_id") == "quiet")).count()
    };
    assert_eq!(with_quiet(&large), 1);
    let mut all = large.concat();
    sort(&mut all);
    assert_eq!(all, calls);
    assert_eq!(blocks(calls[..LARGE_CALLS - 1].to_vec()).len(), 1);
    assert_eq!(times(&large[1]).map(|(since, until)| since < until), Some(true));
}

#[test]
fn of_refused_calls_the_first_of_each_token_and_hour_are_kept() {
    let mut calls: Vec<RawCall> = (0..500)
        .map(|i| {
            raw(
                START + i * SECOND_MS,
                &format!("{i:03}"),
                if i % 2 == 0 { "leaked" } else { "other" },
                Outcome::DeniedDisabled,
            )
        })
        .chain([raw(START + 400_000, "ok", "leaked", Outcome::Ok)])
        .collect();
    bound_refused(&mut calls, 100, |token, hour| if token == "leaked" && hour == START { 40 } else { 0 });
    let of = |token: &str| calls.iter().filter(|call| call.text("token_id") == token).count();
    assert_eq!((of("leaked"), of("other")), (61, 100));
    assert_eq!(calls.last().unwrap().at(), START, "the first ones");
}

#[test]
fn a_call_is_found_by_each_of_its_parts_and_by_no_other() {
    let event = UsageEvent {
        client_ip: Some("203.0.113.7".into()),
        status: 404,
        label: Some("Nightly".into()),
        ai: Some(crate::usage::AiUsage { model: Some("gpt-4o".into()), ..Default::default() }),
        path: "/api/x/models/list".into(),
        ..event()
    };
    let bytes = encode(&RawCall::all_of(&[event])).unwrap();
    let text = |text: &str| Some(text.to_owned());
    let all = || Search { before: (UnixMs::MAX, String::new()), ..Search::default() };
    let found = |search: Search| pick(&bytes, &search).unwrap().len();
    for (hit, miss) in [
        (
            Search { status: Statuses::parse("404"), ..all() },
            Search { status: Statuses::parse("403"), ..all() },
        ),
        (
            Search { status: Statuses::parse("4xx"), ..all() },
            Search { status: Statuses::parse("5xx"), ..all() },
        ),
        (Search { label: text("Nightly"), ..all() }, Search { label: text("nightly"), ..all() }),
        (Search { model: text("gpt-4o"), ..all() }, Search { model: text("gpt-4"), ..all() }),
        (Search { path_part: text("models"), ..all() }, Search { path_part: text("modals"), ..all() }),
        (
            Search { client_ip: text("203.0.113.7"), ..all() },
            Search { client_ip: text("203.0.113.8"), ..all() },
        ),
        (Search { request_id: text("req_1"), ..all() }, Search { request_id: text("req_2"), ..all() }),
        (Search { id: text("e1"), ..all() }, Search { id: text("e2"), ..all() }),
    ] {
        assert_eq!((found(hit.clone()), found(miss)), (1, 0), "{hit:?}");
    }
    for odd in ["", "xx", "0xx", "6xx", "40x", "99", "600", "4XX", "+404"] {
        assert_eq!(Statuses::parse(odd), None, "{odd}");
    }
}
