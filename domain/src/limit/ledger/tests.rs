mod team;

use super::*;
use crate::limit::window::SLOTS;
use crate::time::{DAY_MS, HOUR_MS};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const NOW: UnixMs = 1_780_000_000_000;

/// A ledger that is asked call by call. `"c"` is another call each time.
trait CallByCall {
    fn call(&mut self, limits: &Limits, call: &str, ask: Ask, now: UnixMs) -> Result<Granted, Box<Limited>>;
    fn standing(&mut self, limits: &Limits, now: UnixMs) -> Vec<LimitUse>;
}

impl CallByCall for Ledger {
    fn call(&mut self, limits: &Limits, call: &str, ask: Ask, now: UnixMs) -> Result<Granted, Box<Limited>> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let call = if call == "c" { format!("c{}", CALLS.fetch_add(1, Relaxed)) } else { call.to_owned() };
        let limits = limits.clone();
        self.take(&Take { call, limits, ask, ..Take::default() }, now)
    }

    fn standing(&mut self, limits: &Limits, now: UnixMs) -> Vec<LimitUse> {
        self.uses(limits, Zone::default(), now)
    }
}

fn end_of_month(now: UnixMs) -> UnixMs {
    Zone::default().end(Period::Month, now)
}

fn rate(per_second: u64) -> Limits {
    Limits { calls_per_second: Some(per_second), ..Limits::default() }
}

#[test]
fn a_full_window_refuses_and_says_how_long() {
    let mut ledger = Ledger::default();
    for i in 0..3 {
        assert!(ledger.call(&rate(3), "c", Ask::default(), NOW + i * 100).is_ok());
    }
    let limited = ledger.call(&rate(3), "c", Ask::default(), NOW + 300).unwrap_err();
    assert_eq!(limited.kind, LimitKind::CallsPerSecond);
    assert!((700..=740).contains(&limited.retry_after_ms), "{}", limited.retry_after_ms);
    assert!(ledger.call(&rate(3), "c", Ask::default(), NOW + 300 + limited.retry_after_ms).is_ok());
}

#[test]
fn a_refused_call_costs_nothing() {
    let mut ledger = Ledger::default();
    let limits = Limits { calls_per_minute: Some(5), ..rate(1) };
    ledger.call(&limits, "c", Ask::default(), NOW).unwrap();
    for _ in 0..10 {
        ledger.call(&limits, "c", Ask::default(), NOW).unwrap_err();
    }
    let uses = ledger.standing(&limits, NOW);
    assert_eq!(uses.iter().map(|u| u.used).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn of_two_limits_reached_the_longer_wait_is_told() {
    let mut ledger = Ledger::default();
    let limits = Limits { calls_per_month: Some(1), ..rate(1) };
    ledger.call(&limits, "c", Ask::default(), NOW).unwrap();
    let limited = ledger.call(&limits, "c", Ask::default(), NOW).unwrap_err();
    assert_eq!(limited.kind, LimitKind::CallsPerMonth);
    assert_eq!(NOW + limited.retry_after_ms, end_of_month(NOW));
}

#[test]
fn calls_at_once_are_bounded_until_they_are_settled() {
    let mut ledger = Ledger::default();
    let limits = Limits { concurrent_calls: Some(2), ..Limits::default() };
    assert!(ledger.call(&limits, "a", Ask::default(), NOW).unwrap().to_settle);
    ledger.call(&limits, "b", Ask::default(), NOW).unwrap();
    ledger.call(&limits, "b", Ask::default(), NOW).expect("the same call, asked for again");
    let limited = ledger.call(&limits, "c", Ask::default(), NOW).unwrap_err();
    assert_eq!((limited.kind, limited.retry_after_ms), (LimitKind::ConcurrentCalls, 1_000));
    assert!(ledger.settle("a", Settlement::NOTHING, NOW));
    assert!(!ledger.settle("a", Settlement::NOTHING, NOW), "a second settlement changes nothing");
    assert!(ledger.call(&limits, "c", Ask::default(), NOW).is_ok());
}

#[test]
fn a_budget_starts_again_each_month() {
    let mut ledger = Ledger::default();
    let limits = Limits { cost_micros_per_month: Some(10), ..Limits::default() };
    let ask = Ask { tokens: 0, micros: 10 };
    ledger.call(&limits, "a", ask, NOW).unwrap();
    let limited = ledger.call(&limits, "c", ask, NOW).unwrap_err();
    assert_eq!(limited.kind, LimitKind::CostMicrosPerMonth);
    ledger.settle("a", Settlement { tokens: None, micros: Some(10) }, NOW);
    ledger.call(&limits, "c", ask, NOW + LEASE_MS).unwrap_err();
    assert!(ledger.call(&limits, "c", ask, end_of_month(NOW)).is_ok());
}

#[test]
fn an_unsettled_reservation_ends_and_stays_spent() {
    let mut ledger = Ledger::default();
    let limits = Limits { cost_micros_per_month: Some(100), ..Limits::default() };
    ledger.call(&limits, "c", Ask { tokens: 0, micros: 30 }, NOW).unwrap();
    for (at, wanted) in [(NOW + LEASE_MS - 1, (0, 30)), (NOW + LEASE_MS, (30, 0))] {
        let uses = ledger.standing(&limits, at);
        assert_eq!(uses.iter().map(|u| (u.used, u.reserved)).collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn a_clock_that_steps_back_frees_nothing() {
    let mut ledger = Ledger::default();
    ledger.call(&rate(1), "c", Ask::default(), NOW).unwrap();
    ledger.call(&rate(1), "c", Ask::default(), NOW - DAY_MS).unwrap_err();
}

#[test]
fn periods_end_at_midnight_of_the_zone_and_weeks_on_sunday() {
    let at = |text: &str| crate::time::parse_v1(text).unwrap();
    let berlin = Zone { offset_ms: 2 * HOUR_MS, next: Some((at("2026-10-25T01:00:00Z"), HOUR_MS)) };
    let new_york = Zone { offset_ms: -5 * HOUR_MS, next: Some((at("2026-03-08T07:00:00Z"), -4 * HOUR_MS)) };
    for (zone, period, now, end) in [
        (Zone::default(), Period::Month, "2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"),
        (Zone::default(), Period::Month, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Zone::default(), Period::Day, "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"),
        (Zone::default(), Period::Week, "2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z"),
        (Zone::default(), Period::Week, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        (
            Zone { offset_ms: 8 * HOUR_MS, next: None },
            Period::Day,
            "2026-11-23T16:00:00Z",
            "2026-11-24T16:00:00Z",
        ),
        (
            Zone { offset_ms: 8 * HOUR_MS, next: None },
            Period::Month,
            "2026-11-30T16:00:00Z",
            "2026-12-31T16:00:00Z",
        ),
        (berlin, Period::Day, "2026-10-24T23:00:00Z", "2026-10-25T23:00:00Z"),
        (berlin, Period::Week, "2026-10-25T12:00:00Z", "2026-10-25T23:00:00Z"),
        (berlin, Period::Month, "2026-10-24T12:00:00Z", "2026-10-31T23:00:00Z"),
        (new_york, Period::Day, "2026-03-08T05:30:00Z", "2026-03-09T04:00:00Z"),
    ] {
        assert_eq!(zone.end(period, at(now)), at(end), "{period:?} {now}");
    }
}

#[test]
fn the_headers_are_pinned() {
    let mut ledger = Ledger::default();
    let limits = Limits { calls_per_minute: Some(10), concurrent_calls: Some(2), ..Limits::default() };
    let at = NOW - NOW % 60_000;
    let granted = ledger.call(&limits, "c", Ask::default(), at).unwrap();
    let (policy, standing) = headers(&granted.uses, at).unwrap();
    assert_eq!(policy, r#""calls-per-minute";q=10;w=60, "concurrent-calls";q=2"#);
    assert_eq!(standing, r#""calls-per-minute";r=9;t=62, "concurrent-calls";r=1;t=1"#);
    assert_eq!(headers(&[], at), None);
}

#[test]
fn a_call_that_is_asked_for_twice_counts_once() {
    let mut ledger = Ledger::default();
    let limits = Limits { calls_per_minute: Some(1), ..Limits::default() };
    ledger.call(&limits, "a", Ask::default(), NOW).unwrap();
    ledger.call(&limits, "a", Ask::default(), NOW + 2_000).expect("its first response was lost");
    ledger.call(&limits, "b", Ask::default(), NOW + 2_000).unwrap_err();
}

#[test]
fn a_settlement_that_comes_before_its_call_lets_it_hold_nothing() {
    let mut ledger = Ledger::default();
    let limits = Limits { concurrent_calls: Some(1), cost_micros_per_day: Some(100), ..Limits::default() };
    let ask = Ask { tokens: 0, micros: 50 };
    assert!(!ledger.settle("a", Settlement::NOTHING, NOW));
    assert!(!ledger.call(&limits, "a", ask, NOW + 4_000).unwrap().to_settle);
    ledger.call(&limits, "b", ask, NOW + 4_000).unwrap();
    ledger.settle("b", Settlement::NOTHING, NOW + 5_000);
    assert!(!ledger.call(&limits, "b", ask, NOW + 6_000).unwrap().to_settle, "nor one that comes again");
    assert_eq!(ledger.standing(&limits, NOW + 6_000).iter().map(|used| used.reserved).sum::<u64>(), 0);
}

#[test]
fn a_long_call_keeps_its_slot_while_it_is_renewed_and_what_it_cost_more_is_added_late() {
    let mut ledger = Ledger::default();
    let limits = Limits { concurrent_calls: Some(1), cost_micros_per_month: Some(100), ..Limits::default() };
    ledger.call(&limits, "a", Ask { tokens: 0, micros: 30 }, NOW).unwrap();
    let mut now = NOW;
    for _ in 0..3 {
        now += LEASE_MS - 1;
        assert!(ledger.renew("a", now));
        ledger.call(&limits, "c", Ask::default(), now).unwrap_err();
    }
    now += LEASE_MS;
    ledger.call(&limits, "c", Ask::default(), now).expect("nobody renewed it");
    let cost = Settlement { tokens: Some(0), micros: Some(70) };
    for _ in 0..2 {
        ledger.settle("a", cost, now + 1);
        assert_eq!(ledger.standing(&limits, now + 1)[1].used, 70, "once");
    }
}

#[test]
fn ai_tokens_of_the_last_minute_are_those_reserved_and_those_used() {
    let mut ledger = Ledger::default();
    let limits = Limits { ai_tokens_per_minute: Some(100), ..Limits::default() };
    let ask = Ask { tokens: 80, micros: 0 };
    ledger.call(&limits, "a", ask, NOW).unwrap();
    ledger.call(&limits, "b", ask, NOW).unwrap();
    let limited = ledger.call(&limits, "c", ask, NOW).unwrap_err();
    assert_eq!((limited.kind, limited.retry_after_ms), (LimitKind::AiTokensPerMinute, 1_000));
    for call in ["a", "b"] {
        ledger.settle(call, Settlement { tokens: Some(60), micros: None }, NOW);
    }
    let limited = ledger.call(&limits, "c", ask, NOW).unwrap_err();
    assert!((59_000..=61_300).contains(&limited.retry_after_ms), "{}", limited.retry_after_ms);
    assert!(ledger.call(&limits, "c", ask, NOW + limited.retry_after_ms).is_ok());
}

#[test]
fn a_week_is_counted_from_the_first_limit_by_the_week() {
    let mut ledger = Ledger::default();
    let ask = Ask { tokens: 1, micros: 60 };
    let weekly = Limits { cost_micros_per_week: Some(100), ..Limits::default() };
    let mut now = NOW;
    for expected in [true, true, false] {
        assert_eq!(ledger.call(&weekly, "c", ask, now).is_ok(), expected);
        now += 1;
    }
    let end = Zone::default().end(Period::Week, now);
    ledger.call(&weekly, "c", ask, end - 1).unwrap_err();
    assert!(ledger.call(&weekly, "c", ask, end).is_ok());
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
                    if ledger.call(&limits, &call, Ask { tokens, micros }, now).is_ok() {
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
        let uses = ledger.standing(&limits, now);
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
            let verdict = ledger.call(&rate(limit), "c", Ask::default(), now);
            prop_assert!(verdict.is_err() || within(1_000) < limit);
            prop_assert!(verdict.is_ok() || within(1_000 + 1_000 / SLOTS) >= limit);
            if verdict.is_ok() {
                let_in.push(now);
            }
        }
    }
}
