use super::*;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::usage::outcome::Outcome;
use crate::usage::rollup::Rollup;
use crate::usage::tests::event;
use proptest::prelude::*;

const CALLS: [Dimension; 7] = Dimension::CALLS;
const START: UnixMs = 20_000 * DAY_MS;

fn arrived(at: &[UnixMs], now: UnixMs) -> Tallies {
    let events: Vec<_> = at.iter().map(|at| crate::usage::UsageEvent { at: *at, ..event() }).collect();
    Tallies::of(&events, now)
}

fn calls(rows: &[Row], dimension: Dimension, granularity: Granularity) -> u64 {
    let is = |row: &&Row| row.dimension == dimension && row.granularity == granularity;
    rows.iter().filter(is).map(|row| row.sums.rollup.calls).sum()
}

#[test]
fn a_bucket_becomes_rows_once_when_it_is_over() {
    let mut open = Tallies::default();
    assert_eq!(fold(&mut open, arrived(&[START], START), START + 1, &CALLS), []);
    assert_eq!(
        fold(&mut open, Tallies::default(), START + 5 * MINUTE_MS, &CALLS),
        [],
        "calls arrive some seconds late"
    );
    let rows = fold(&mut open, Tallies::default(), START + 6 * MINUTE_MS, &CALLS);
    assert_eq!(calls(&rows, Dimension::All, Granularity::FiveMinutes), 1);
    assert!(rows.iter().all(|row| row.granularity == Granularity::FiveMinutes));
    let rows = fold(&mut open, Tallies::default(), START + HOUR_MS + 2 * MINUTE_MS, &CALLS);
    assert!(rows.iter().all(|row| row.granularity == Granularity::Hour) && !rows.is_empty());
    let rows = fold(&mut open, Tallies::default(), START + 8 * DAY_MS, &CALLS);
    assert_eq!(calls(&rows, Dimension::All, Granularity::Day), 1);
    assert_eq!(calls(&rows, Dimension::All, Granularity::Week), 1);
    assert_eq!(open, Tallies::default());
}

#[test]
fn a_late_call_reaches_its_closed_bucket_and_the_open_one_around_it() {
    let mut open = Tallies::default();
    let now = START + 30 * MINUTE_MS;
    let rows = fold(&mut open, arrived(&[START], now), now, &CALLS);
    assert_eq!(calls(&rows, Dimension::All, Granularity::FiveMinutes), 1);
    assert_eq!(calls(&rows, Dimension::All, Granularity::Hour), 0);
    assert!(open.contains(Granularity::Hour, START));
}

#[test]
fn an_old_call_gets_no_rows_that_retention_would_delete() {
    let now = START + 500 * DAY_MS;
    let rows = fold(&mut Tallies::default(), arrived(&[START], now), now, &CALLS);
    assert!(rows.iter().all(|row| row.granularity >= Granularity::Day));
    assert_eq!(calls(&rows, Dimension::All, Granularity::Week), 1);
}

#[test]
fn refused_calls_of_an_hour_are_known_until_it_is_over() {
    let mut open = Tallies::default();
    for minute in [0, 7, 59] {
        let at = START + minute * MINUTE_MS;
        let denied = crate::usage::UsageEvent { at, outcome: Outcome::DeniedDisabled, ..event() };
        fold(&mut open, Tallies::of(&[denied], at), at, &CALLS);
    }
    assert_eq!(refused(&open, "tok_1", START), 3);
    assert_eq!((refused(&open, "tok_2", START), refused(&open, "tok_1", START + HOUR_MS)), (0, 0));
}

proptest! {
    /// For each granularity, each call is in exactly one place: rows, an open bucket of it or a finer one.
    #[test]
    fn each_call_is_in_one_place(minutes in proptest::collection::vec((0_i64..20_000, 0_i64..3_000), 1..60)) {
        let (mut open, mut rows, mut now, mut sent) = (Tallies::default(), Vec::new(), START, 0_u64);
        for (age, pause) in minutes {
            now += pause * MINUTE_MS;
            rows.extend(fold(&mut open, arrived(&[now - age * MINUTE_MS, now], now), now, &CALLS));
            sent += 2;
            for granularity in [Granularity::Day, Granularity::Week] {
                let mut sum = Rollup::default();
                for (finer, _, tally) in open.iter() {
                    if finer <= granularity {
                        tally.iter().for_each(|(_, sums)| sum.merge(&sums.rollup));
                    }
                }
                for dimension in [Dimension::All, Dimension::Token, Dimension::RouteToken] {
                    prop_assert_eq!(sum.calls + calls(&rows, dimension, granularity), sent);
                }
            }
        }
    }
}
