//! The time that reports take, without ANALYZE, which D1 does not run.

use super::usage_reports::{Report, ZONES, report};
use super::usage_reports_model::{SPRING, Store, read_ranking};
use super::{DAY_MS, HOUR_MS};
use domain::usage::period::Period;
use domain::usage::report::{Lines, Split, Whose, busiest_first};
use domain::usage::rollup::bin_of;
use domain::usage::span::{Granularity, Interval};
use domain::usage::tally::{Caller, Sums, Tallies, Tally};
use std::time::{Duration, Instant};

fn line(calls: u64, latency_ms: u32) -> Sums {
    let mut sums = Sums::default();
    for _ in 0..calls {
        sums.rollup.calls += 1;
        sums.rollup.ok += 1;
        sums.rollup.latency.add(bin_of(latency_ms), 1);
    }
    sums
}

fn caller(team: i64, token: i64, route: i64) -> Caller {
    Caller {
        team: format!("team-{team}"),
        token: format!("tok_{token:024}"),
        route: format!("rte_{route:024}"),
    }
}

/// The longest that a read may take here, without optimization and beside other tests. Alone it takes a tenth.
const DEBUG_BOUND: Duration = Duration::from_secs(1);

/// Reads, and fails if that takes too long.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and --nocapture shows what"
)]
fn timed<T>(told: &str, read: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = read();
    let took = start.elapsed();
    println!("{told}: {} ms", took.as_millis());
    assert!(took < DEBUG_BOUND, "{told} took {took:?}");
    result
}

/// Fills 90 days, in buckets of a granularity, and returns the time after them.
fn filled_over_90_days(granularity: Granularity, of_bucket: impl Fn(i64) -> Tally) -> (Store, i64) {
    let mut store = Store::new();
    let start = SPRING - SPRING % DAY_MS - 60 * DAY_MS;
    for day in 0..90 {
        let mut arrived = Tallies::default();
        let a_day = DAY_MS / granularity.width_ms();
        for n in day * a_day..(day + 1) * a_day {
            arrived.merge(granularity, start + n * granularity.width_ms(), of_bucket(n));
        }
        store.take_in(arrived, Tallies::default());
        store.fold(start + (day + 1) * DAY_MS);
    }
    (store, start + 90 * DAY_MS + HOUR_MS)
}

/// In one value, the histograms of 340 tokens on one route would be longer than D1 takes.
#[test]
fn usage_reports_of_400_tokens_on_one_route_over_90_days() {
    let (store, now) = filled_over_90_days(Granularity::Hour, |hour| {
        let mut tally = Tally::default();
        for n in 0..10 {
            let token = (hour * 7 + n * 40) % 400;
            tally.add(caller(token % 20, token, 1), &line(1, u32::try_from(n * 97 + hour % 13).unwrap()));
        }
        tally
    });
    let route = |teams| Whose { teams, route: Some(format!("rte_{:024}", 1).into()), ..Whose::default() };
    let member = Some(vec!["team-3".into()]);
    for zone in [ZONES[0], ZONES[1], ZONES[2]] {
        let period = Period::of(Some(now - 90 * DAY_MS), None, Some(Interval::Day), now, zone).unwrap();
        let parts = timed("400 tokens, admin", || report(&store.db, &route(None), &period, 50));
        assert_eq!(parts.tokens.len(), 50);
        let of_route = parts.routes.values().next().unwrap();
        let hours = u64::try_from((now - HOUR_MS - period.from).min(90 * DAY_MS) / HOUR_MS).unwrap();
        assert_eq!(of_route.rollup.calls, hours * 10);
        assert_eq!(of_route.rollup.latency.iter().map(|(_, n)| n).sum::<u64>(), hours * 10);
        for token in parts.tokens.values() {
            assert_eq!(token.rollup.latency.iter().map(|(_, n)| n).sum::<u64>(), token.rollup.calls);
        }
        let parts = timed("400 tokens, member", || report(&store.db, &route(member.clone()), &period, 50));
        assert_eq!(parts.tokens.len(), 20);
        let none = Whose { teams: Some(vec!["team-99".into()]), ..Whose::default() };
        let parts = timed("400 tokens, a team with no calls", || report(&store.db, &none, &period, 50));
        assert_eq!(parts, Report::default());
    }
}

#[test]
fn usage_reports_of_1000_routes_and_50000_pairs_over_90_days() {
    const PAIRS: i64 = 50_000;
    // Each pair is called on one of the days; a token calls 50 routes.
    let (store, now) = filled_over_90_days(Granularity::Day, |day| {
        let mut tally = Tally::default();
        for pair in (day * PAIRS / 90)..((day + 1) * PAIRS / 90) {
            let pair = pair * 7_919 % PAIRS;
            let token = pair / 50;
            tally.add(caller(token % 20, token, (token * 17 + pair % 50 * 20) % 1_000), &line(1, 50));
        }
        tally
    });
    let period = Period::of(Some(now - 90 * DAY_MS), None, Some(Interval::Day), now, ZONES[0]).unwrap();
    let team = Whose { teams: Some(vec!["team-3".into()]), ..Whose::default() };
    let none = Whose { teams: Some(vec!["team-99".into()]), ..Whose::default() };
    let many =
        Whose { teams: Some((0..20).map(|n| format!("team-{n}").into()).collect()), ..Whose::default() };
    let token = Whose {
        teams: Some(vec!["team-3".into()]),
        token: Some(format!("tok_{:024}", 3).into()),
        ..Whose::default()
    };
    let route = Whose { route: Some(format!("rte_{:024}", 1).into()), ..Whose::default() };
    for (told, whose) in [
        ("50,000 pairs, admin", &Whose::default()),
        ("50,000 pairs, member of a team", &team),
        ("50,000 pairs, member of every team", &many),
        ("50,000 pairs, a token", &token),
        ("50,000 pairs, a route", &route),
        ("50,000 pairs, a team with no calls", &none),
    ] {
        let parts = timed(told, || report(&store.db, whose, &period, 50));
        let calls = |lines: &Lines| lines.values().map(|sums| sums.rollup.calls).sum::<u64>();
        let busiest = busiest_first(parts.tokens.clone());
        assert!(busiest.windows(2).all(|pair| pair[0].1.rollup.calls >= pair[1].1.rollup.calls));
        if *whose == Whose::default() || *whose == many {
            assert!(calls(&parts.series) > 49_000, "{}", calls(&parts.series));
            assert_eq!((parts.tokens.len(), parts.routes.len()), (50, 50));
        }
        // The lists read every token and every route.
        for split in [Split::Token, Split::Route] {
            let told = format!("{told}, ranking by {split:?}");
            timed(&told, || read_ranking(&store.db, whose, split, &period.sums));
        }
    }
}
