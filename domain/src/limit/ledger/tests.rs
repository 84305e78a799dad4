use super::*;
use crate::limit::window::SLOTS;
use proptest::prelude::*;

const NOW: UnixMs = 1_780_000_000_000;

fn rate(per_second: u64) -> Limits {
    Limits { calls_per_second: Some(per_second), ..Limits::default() }
}

#[test]
fn a_full_window_refuses_and_says_how_long() {
    let mut ledger = Ledger::default();
    for i in 0..3 {
        assert!(ledger.take(&rate(3), "c", Ask::default(), NOW + i * 100).is_ok());
    }
    let limited = ledger.take(&rate(3), "c", Ask::default(), NOW + 300).unwrap_err();
    assert_eq!(limited.kind, LimitKind::CallsPerSecond);
    assert!((700..=740).contains(&limited.retry_after_ms), "{}", limited.retry_after_ms);
    assert!(ledger.take(&rate(3), "c", Ask::default(), NOW + 300 + limited.retry_after_ms).is_ok());
}

#[test]
fn a_refused_call_costs_nothing() {
    let mut ledger = Ledger::default();
    let limits = Limits { calls_per_minute: Some(5), ..rate(1) };
    ledger.take(&limits, "c", Ask::default(), NOW).unwrap();
    for _ in 0..10 {
        ledger.take(&limits, "c", Ask::default(), NOW).unwrap_err();
    }
    let uses = ledger.uses(&limits, NOW);
    assert_eq!(uses.iter().map(|u| u.used).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn of_two_limits_reached_the_longer_wait_is_told() {
    let mut ledger = Ledger::default();
    let limits = Limits { calls_per_month: Some(1), ..rate(1) };
    ledger.take(&limits, "c", Ask::default(), NOW).unwrap();
    let limited = ledger.take(&limits, "c", Ask::default(), NOW).unwrap_err();
    assert_eq!(limited.kind, LimitKind::CallsPerMonth);
    assert_eq!(NOW + limited.retry_after_ms, end_of_month(NOW));
}

#[test]
fn calls_at_once_are_bounded_until_they_are_settled() {
    let mut ledger = Ledger::default();
    let limits = Limits { concurrent_calls: Some(2), ..Limits::default() };
    assert!(ledger.take(&limits, "a", Ask::default(), NOW).unwrap().to_settle);
    ledger.take(&limits, "b", Ask::default(), NOW).unwrap();
    ledger.take(&limits, "b", Ask::default(), NOW).expect("the same call, asked for again");
    let limited = ledger.take(&limits, "c", Ask::default(), NOW).unwrap_err();
    assert_eq!((limited.kind, limited.retry_after_ms), (LimitKind::ConcurrentCalls, 1_000));
    assert!(ledger.settle("a", Settlement::NOTHING, NOW));
    assert!(!ledger.settle("a", Settlement::NOTHING, NOW), "a second settlement changes nothing");
    assert!(ledger.take(&limits, "c", Ask::default(), NOW).is_ok());
}

#[test]
fn a_budget_starts_again_each_month() {
    let mut ledger = Ledger::default();
    let limits = Limits { cost_micros_per_month: Some(10), ..Limits::default() };
    let ask = Ask { tokens: 0, micros: 10 };
    ledger.take(&limits, "a", ask, NOW).unwrap();
    let limited = ledger.take(&limits, "c", ask, NOW).unwrap_err();
    assert_eq!(limited.kind, LimitKind::CostMicrosPerMonth);
    ledger.settle("a", Settlement { tokens: None, micros: Some(10) }, NOW);
    ledger.take(&limits, "c", ask, NOW + LEASE_MS).unwrap_err();
    assert!(ledger.take(&limits, "c", ask, end_of_month(NOW)).is_ok());
}

#[test]
fn an_unsettled_reservation_ends_and_stays_spent() {
    let mut ledger = Ledger::default();
    let limits = Limits { cost_micros_per_month: Some(100), ..Limits::default() };
    ledger.take(&limits, "c", Ask { tokens: 0, micros: 30 }, NOW).unwrap();
    for (at, wanted) in [(NOW + LEASE_MS - 1, (0, 30)), (NOW + LEASE_MS, (30, 0))] {
        let uses = ledger.uses(&limits, at);
        assert_eq!(uses.iter().map(|u| (u.used, u.reserved)).collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn a_clock_that_steps_back_frees_nothing() {
    let mut ledger = Ledger::default();
    ledger.take(&rate(1), "c", Ask::default(), NOW).unwrap();
    ledger.take(&rate(1), "c", Ask::default(), NOW - DAY_MS).unwrap_err();
}

#[test]
fn months_and_days_end_at_midnight_utc() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp_millis();
    assert_eq!(end_of_month(at("2026-12-31T23:59:59.999Z")), at("2027-01-01T00:00:00Z"));
    assert_eq!(end_of_month(at("2028-02-01T00:00:00Z")), at("2028-03-01T00:00:00Z"));
    assert_eq!(end_of_day(at("2026-11-23T00:00:00Z")), at("2026-11-24T00:00:00Z"));
}

#[test]
fn the_headers_are_pinned() {
    let mut ledger = Ledger::default();
    let limits = Limits { calls_per_minute: Some(10), concurrent_calls: Some(2), ..Limits::default() };
    let at = NOW - NOW % 60_000;
    let granted = ledger.take(&limits, "c", Ask::default(), at).unwrap();
    let (policy, standing) = headers(&granted.uses, at).unwrap();
    assert_eq!(policy, r#""calls-per-minute";q=10;w=60, "concurrent-calls";q=2"#);
    assert_eq!(standing, r#""calls-per-minute";r=9;t=62, "concurrent-calls";r=1;t=1"#);
    assert_eq!(headers(&[], at), None);
}

#[derive(Clone, Debug)]
enum Step {
    Take {
        tokens: u64,
        micros: u64,
    },
    /// Settles the n-th open one at so many percent of what it reserved; above 100 it is unknown.
    Settle {
        nth: usize,
        percent: u64,
    },
    Wait {
        ms: i64,
    },
    /// The Durable Object begins anew from what was saved.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1_u64..500, 1_u64..500).prop_map(|(tokens, micros)| Step::Take { tokens, micros }),
        4 => (0_usize..50, 0_u64..130).prop_map(|(nth, percent)| Step::Settle { nth, percent }),
        2 => (1_i64..120_000).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Any number of calls at once, in any order of ends, with restarts between: what is spent
    /// never passes the budget by a whole reservation, and nothing stays reserved for ever.
    #[test]
    fn a_budget_is_never_passed_by_more_than_one_reservation(steps in steps(), cap in 1_u64..5_000) {
        let limits = Limits { cost_micros_per_month: Some(cap), ..Limits::default() };
        let mut ledger = Ledger::default();
        let (mut now, mut open, mut spent, mut largest) = (NOW, Vec::new(), 0_u64, 0_u64);
        let mut calls = 0;
        for step in steps {
            match step {
                Step::Take { tokens, micros } => {
                    calls += 1;
                    let call = calls.to_string();
                    if ledger.take(&limits, &call, Ask { tokens, micros }, now).is_ok() {
                        largest = largest.max(micros);
                        open.push((call, micros, now + LEASE_MS));
                    }
                }
                Step::Settle { nth, percent } => {
                    if !open.is_empty() {
                        let (call, micros, ends) = open.remove(nth % open.len());
                        let actual = (percent <= 100).then(|| micros * percent / 100);
                        let was_open = ledger.settle(&call, Settlement { tokens: None, micros: actual }, now);
                        prop_assert_eq!(was_open, ends > now, "open until its lease ends");
                        spent += if was_open { actual.unwrap_or(micros) } else { micros };
                    }
                }
                Step::Wait { ms } => now += ms,
                Step::Restart => {
                    let saved = serde_json::to_string(&ledger).unwrap();
                    ledger = serde_json::from_str(&saved).unwrap();
                }
            }
            prop_assert!(spent < cap + largest.max(1), "{spent} of {cap}, largest {largest}");
        }
        now += LEASE_MS;
        spent += open.iter().map(|(_, micros, _)| micros).sum::<u64>();
        let uses = ledger.uses(&limits, now);
        prop_assert_eq!((uses[0].used, uses[0].reserved), (spent, 0), "the sums agree to the last one");
        prop_assert!(spent < cap + largest.max(1));
    }

    /// Against a list of every call let in: no window of a second holds more than the limit, and
    /// no call is refused that a window longer by a slot would have let in.
    #[test]
    fn a_rate_is_exact_within_a_slot(
        limit in 1_u64..20,
        pauses in proptest::collection::vec(0_i64..300, 1..300),
    ) {
        let mut ledger = Ledger::default();
        let (mut now, mut let_in) = (NOW, Vec::new());
        for pause in pauses {
            now += pause;
            let within = |ms: i64| let_in.iter().filter(|at| **at > now - ms).count() as u64;
            let verdict = ledger.take(&rate(limit), "c", Ask::default(), now);
            prop_assert!(verdict.is_err() || within(1_000) < limit);
            prop_assert!(verdict.is_ok() || within(1_000 + 1_000 / SLOTS) >= limit);
            if verdict.is_ok() {
                let_in.push(now);
            }
        }
    }
}
