use super::*;
use crate::usage::AiUsage;
use crate::usage::outcome::Outcome;
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
        bytes_in: bytes,
        bytes_out: bytes,
        client_ip: None,
        user_agent: None,
        country: None,
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
        rollup.fold(event);
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

#[test]
fn bins_ascend_without_a_gap() {
    let mut last = 0;
    for ms in 1..=CEILING_MS {
        let bin = bin_of(ms);
        assert!(bin == last || bin == last + 1, "{ms}");
        last = bin;
    }
    assert_eq!(last + 1, BINS);
    assert_eq!(bin_of(u32::MAX), BINS - 1);
}

#[test]
fn percentiles_of_nothing_are_nothing() {
    assert_eq!(Histogram::default().percentile_ms(95), None);
}

proptest! {
    #[test]
    fn fold_does_not_depend_on_order(events in events(), seed: u64) {
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|e| (u64::from(e.latency_ms) + 1).wrapping_mul(seed | 1));
        prop_assert_eq!(sum(&events), sum(&shuffled));
    }

    #[test]
    fn merge_is_associative_and_agrees_with_fold(a in events(), b in events(), c in events()) {
        let (mut left, mut right) = (sum(&a), sum(&b));
        left.merge(&sum(&b));
        left.merge(&sum(&c));
        right.merge(&sum(&c));
        let mut other = sum(&a);
        other.merge(&right);
        prop_assert_eq!(&left, &other);
        prop_assert_eq!(left, sum(&[a, b, c].concat()));
    }

    #[test]
    fn a_percentile_is_within_ten_percent(mut latencies in proptest::collection::vec(0_u32..1_000_000, 1..200), percent in 1_usize..=100) {
        let mut histogram = Histogram::default();
        for ms in &latencies {
            histogram.add(bin_of(*ms), 1);
        }
        latencies.sort_unstable();
        let rank = (latencies.len() * percent).div_ceil(100);
        let exact = f64::from(latencies[rank - 1]);
        let read = f64::from(histogram.percentile_ms(percent as u64).unwrap());
        prop_assert!((read - exact).abs() <= exact * 0.1, "{read} for {exact}");
    }
}
