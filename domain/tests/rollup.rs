//! Sums of calls do not depend on their order, nor on how they are grouped.

#![expect(clippy::indexing_slicing, reason = "clippy does not see a whole file as a test")]

use domain::usage::outcome::Outcome;
use domain::usage::rollup::Rollup;
use domain::usage::{AiUsage, UsageEvent};
use proptest::prelude::*;

fn event(outcome: Outcome, latency_ms: u32, bytes: Option<u64>) -> UsageEvent {
    UsageEvent {
        id: "e".into(),
        at: 0,
        token_id: "t".into(),
        team: "ops".into(),
        route_id: None,
        route_path: None,
        path: "/".into(),
        method: "GET".into(),
        status: 200,
        outcome,
        latency_ms,
        gateway_ms: latency_ms / 2,
        duration_ms: None,
        secret: None,
        derived: None,
        bytes_in: bytes,
        bytes_out: bytes,
        label: None,
        second: false,
        limit: None,
        retries: 0,
        credential: None,
        refused: vec![],
        upstream_request_id: None,
        error: None,
        client_ip: None,
        user_agent: None,
        country: None,
        trace: None,
        request_id: "r".into(),
        ai: bytes.map(|n| AiUsage { prompt_tokens: Some(n), ..AiUsage::default() }),
    }
}

fn events() -> impl Strategy<Value = Vec<UsageEvent>> {
    let one = (0..Outcome::ALL.len(), 0_u32..2_000_000, proptest::option::of(0_u64..1 << 40))
        .prop_map(|(outcome, latency, bytes)| event(Outcome::ALL[outcome], latency, bytes));
    proptest::collection::vec(one, 0..40)
}

fn sum(events: &[UsageEvent]) -> Rollup {
    let mut rollup = Rollup::default();
    for event in events {
        rollup.count(event);
    }
    rollup
}

#[test]
fn every_call_is_in_one_class() {
    let all: Vec<_> = Outcome::ALL.iter().map(|o| event(*o, 1, None)).collect();
    let r = sum(&all);
    let classes =
        [r.ok, r.client_errors, r.upstream_errors, r.timeouts, r.gateway_errors, r.denied, r.limited];
    assert_eq!(classes.iter().sum::<u64>(), r.calls);
    assert_eq!(r.latency.iter().map(|(_, n)| n).sum::<u64>(), r.served());
}

proptest! {
    #[test]
    fn counting_does_not_depend_on_order(events in events(), seed: u64) {
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|e| (u64::from(e.latency_ms) + 1).wrapping_mul(seed | 1));
        prop_assert_eq!(sum(&events), sum(&shuffled));
    }

    #[test]
    fn merge_is_associative_and_agrees_with_counting(a in events(), b in events(), c in events()) {
        let (mut left, mut right) = (sum(&a), sum(&b));
        left.merge(&sum(&b));
        left.merge(&sum(&c));
        right.merge(&sum(&c));
        let mut other = sum(&a);
        other.merge(&right);
        prop_assert_eq!(&left, &other);
        prop_assert_eq!(left, sum(&[a, b, c].concat()));
    }
}
