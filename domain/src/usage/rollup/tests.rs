use super::*;
use proptest::prelude::*;

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
