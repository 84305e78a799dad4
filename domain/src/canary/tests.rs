use super::*;
use crate::access::record::TokenState;
use crate::limit::Limits;
use crate::limit::ledger::Zone;

fn record(id: &str, scopes: &[&str]) -> TokenRecord {
    TokenRecord {
        v: 2,
        id: id.into(),
        name: "canary".into(),
        team: "core-team".into(),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        cap: None,
        expires_at: None,
        state: TokenState::Active,
        secret_ends_at: Some(1_000),
        ip_allow: vec![],
        limits: Limits::default(),
        team_budget: Limits::default(),
        zone: Zone::default(),
        inject_faults: false,
        may_derive: false,
        version: 1,
    }
}

#[test]
fn only_the_canarys_own_token_is_judged_and_only_while_it_grants_nothing() {
    let canary = record(CANARY_ID, &[]);
    assert_eq!(judge(Some(&canary), 999), Some(Seen::Accepted));
    assert_eq!(judge(Some(&canary), 1_000), Some(Seen::Refused), "its end has come");
    assert_eq!(judge(Some(&TokenRecord { state: TokenState::Revoked, ..canary }), 0), Some(Seen::Refused));
    assert_eq!(judge(None, 0), Some(Seen::Refused));
    assert_eq!(judge(Some(&record("tok_1", &[])), 0), None);
    assert_eq!(judge(Some(&record(CANARY_ID, &["*"])), 0), None);
}

#[test]
fn a_run_waits_longer_than_kv_takes_with_fewer_calls_than_a_worker_may_make() {
    let (mut elapsed, mut calls) = (0_i64, 1_u32);
    while let Some(pause) = pause_ms(elapsed) {
        elapsed += i64::try_from(pause).unwrap();
        calls += 1;
    }
    assert!((70_000..100_000).contains(&elapsed), "{elapsed}");
    assert!(calls < MOST_CALLS - 4 && MOST_CALLS < 32, "{calls}: some are left for the revocation");
}

fn run(state: RunState, feed: FeedState, ms: [u32; 3]) -> Run {
    Run { at: 0, state, feed: Some(feed), ms: Measure::ALL.into_iter().zip(ms).collect() }
}

#[test]
fn the_bell_rings_above_a_bound_and_never_for_one_that_kv_does_not_have() {
    let subjects = |run: Run| run.findings().iter().map(|found| found.subject).collect::<Vec<_>>();
    let measured = |feed, ms| subjects(run(RunState::Measured, feed, ms));
    assert!(measured(FeedState::On, [5_000, 5_000, 10_000]).is_empty());
    assert_eq!(measured(FeedState::On, [5_001, 5_001, 10_001]), ["new-token", "revoked", "usage"]);
    assert_eq!(measured(FeedState::Away, [200, 9_000, 10]), ["revoked"]);
    assert_eq!(measured(FeedState::Off, [60_000, 70_000, 10_001]), ["usage"]);
    for (state, rings) in [
        (RunState::GatewayAway, vec!["gateway"]),
        (RunState::NotPublished, vec!["publication"]),
        (RunState::GatewayOlder, vec![]),
        (RunState::Held, vec![]),
    ] {
        assert_eq!(subjects(run(state, FeedState::On, [9_000; 3])), rings, "{state:?}");
    }
    let all = [measured(FeedState::On, [u32::MAX; 3]), vec!["gateway", "publication"]].concat();
    assert_eq!(all, SUBJECTS, "each can be resolved");
}

#[test]
fn a_run_is_due_though_the_platform_begins_it_some_seconds_early() {
    assert!(is_due(None, 1, 0) && is_due(Some(0), 1, MINUTE_MS - 3_000));
    assert!(!is_due(Some(0), 5, 4 * MINUTE_MS) && is_due(Some(0), 5, 5 * MINUTE_MS));
    assert!(!is_overdue(0, 1, 5 * MINUTE_MS) && is_overdue(0, 1, 5 * MINUTE_MS + 1));
}

#[test]
fn hours_are_stored_and_added_up_without_loss() {
    let mut first = Hours::default();
    for ms in [100, 200, 4_000] {
        first.add(&run(RunState::Measured, FeedState::On, [ms, ms + 1, ms + 2]));
    }
    let text = serde_json::to_string(&first).unwrap();
    assert_eq!(serde_json::from_str::<Hours>(&text).unwrap(), first, "{text}");
    let mut both = first.clone();
    let mut second = Hours::default();
    second.add(&Run { ms: [(Measure::Revoked, 7_000)].into(), ..Run::new(0) });
    both.merge(&second);
    let revoked = both.get(Measure::Revoked).unwrap();
    assert_eq!((revoked.count(), revoked.worst_ms()), (4, 7_000));
    assert_eq!(both.get(Measure::Usage), first.get(Measure::Usage));
    assert!(
        revoked.percentile_ms(50).unwrap().abs_diff(201) < 13 && revoked.percentile_ms(99) <= Some(7_000)
    );
    assert_eq!(Hours::of(HOUR_MS + 1), HOUR_MS);
}

#[test]
fn the_names_of_measures_on_the_wire_are_those_of_the_bell() {
    for measure in Measure::ALL {
        assert_eq!(serde_json::to_value(measure).unwrap(), measure.as_str());
    }
}
