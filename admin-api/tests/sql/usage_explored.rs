//! The explorer's report: its parts, counted again from the calls themselves.

use super::usage_reports::{ZONES, all_whose, covers, filled, model_of};
use super::usage_reports_model::{Dice, FINE_MS, Store, read_pending, read_ranking_of, read_rows};
use super::{DAY_MS, HOUR_MS};
use domain::usage::UsageEvent;
use domain::usage::metric::Metric;
use domain::usage::period::Period;
use domain::usage::report::{
    Exploration, Explored, ExploredLine, Kind, LineKey, Section, Split, SplitParts, Whose, buckets,
};
use domain::usage::rollup::Rollup;
use domain::usage::span::{Interval, Span, sum_spans};

const SPLITS: [Split; 3] = [Split::Token, Split::Route, Split::Team];
const SPLITS_OF_MODELS: [Split; 2] = [Split::Model, Split::Team];

/// The series, the lines of each way to split, and the sums of the sections.
type Parts = (Vec<(i64, Rollup)>, Vec<Vec<ExploredLine>>, Vec<u64>);

/// Reads as the handler does, all lines of each way to split.
fn explored(store: &Store, asked: &Exploration<'_>) -> Parts {
    let db = &store.db;
    let series = asked.series();
    let read = Explored {
        series: read_rows(db, &asked.whose.ranges_of(Split::Whole, &series), &buckets(&series, true)),
        rankings: asked.rankings().iter().map(|(ranges, spans)| read_ranking_of(db, ranges, spans)).collect(),
        pending: read_pending(db, &asked.pending(), &asked.whose.kind),
    };
    let (series, splits, sections) = asked.parts(read);
    let shown = |split: SplitParts| {
        let keys = split.candidates.highest(Metric::Errors, usize::MAX);
        let rows = |spans: &[Span], is_series| {
            let ranges = asked.whose.ranges_of_lines(split.split, spans, &keys);
            read_rows(db, &ranges, &buckets(spans, is_series))
        };
        let before = asked.previous.map_or(&[][..], |previous| &previous.sums);
        let rows = [rows(&asked.period.sums, false), rows(before, false), rows(&asked.period.series, true)];
        split.shown(keys, rows)
    };
    let sections = sections.iter().map(|whole| whole.counts(&LineKey::default()).calls).collect();
    (series.into_iter().collect(), splits.into_iter().map(shown).collect(), sections)
}

fn key_of(call: &UsageEvent, split: Split) -> LineKey {
    let team = call.team.to_string();
    let route = call.route_id.as_ref().map(ToString::to_string).unwrap_or_default();
    match split {
        Split::Whole => LineKey::default(),
        Split::Token => LineKey { id: call.token_id.to_string(), team },
        Split::Route => LineKey { id: route, team: String::new() },
        Split::Team => LineKey { id: team, team: String::new() },
        Split::Model => LineKey { id: model_of(call).to_owned(), team: String::new() },
    }
}

/// Sums up the calls of a period, as exactly as it says.
fn summed<'a>(calls: impl IntoIterator<Item = &'a UsageEvent>, period: &Period) -> Rollup {
    let last = period.sums.last().unwrap();
    let mut sums = Rollup::default();
    for call in calls {
        let step = if call.at >= last.from { last.granularity.width_ms() } else { FINE_MS };
        let bucket = call.at - call.at % step;
        if call.at >= period.from && bucket < period.to {
            sums.count(call);
        }
    }
    sums
}

/// Fails unless lines are what their calls sum up to, in both times and by interval. Returns their number.
fn check_lines(
    lines: &[ExploredLine],
    split: Split,
    calls: &[&UsageEvent],
    [period, previous]: [&Period; 2],
    told: &str,
) -> usize {
    for line in lines {
        let of_line: Vec<&UsageEvent> =
            calls.iter().copied().filter(|call| key_of(call, split) == line.key).collect();
        assert_eq!(line.rollup, summed(of_line.iter().copied(), period), "{:?}: {told}", line.key);
        assert_eq!(line.previous, summed(of_line, previous), "before, {:?}: {told}", line.key);
        let mut all = Rollup::default();
        line.series.values().for_each(|sums| all.merge(sums));
        assert_eq!(all, line.rollup, "intervals add up, {:?}: {told}", line.key);
    }
    let ranks: Vec<u64> = lines.iter().map(|line| Metric::Errors.rank((&line.rollup).into())).collect();
    assert!(ranks.windows(2).all(|pair| pair[0] >= pair[1]), "{ranks:?}: {told}");
    lines.len()
}

/// Reports on AI calls, and on those of one model.
fn whose_models() -> Vec<Whose> {
    let team = |n: i64| format!("team-{n}").into();
    let teams = [None, Some(vec![]), Some(vec![team(1)]), Some(vec![team(0), team(2)])];
    let kinds =
        [Kind::Ai, Kind::Model("gpt 5".to_owned()), Kind::Model("5".to_owned()), Kind::Model(String::new())];
    let of = |teams: Option<Vec<_>>| {
        kinds.clone().map(|kind| Whose { teams: teams.clone(), kind, ..Whose::default() })
    };
    teams.into_iter().flat_map(of).collect()
}

/// Checks every report of a period. Returns the number of lines.
fn check(store: &Store, calls: &[UsageEvent], now: i64, period: &Period, previous: &Period) -> usize {
    let mut seen = 0;
    for whose in all_whose().into_iter().chain(whose_models()) {
        let splits: &[Split] = if whose.kind == Kind::Any { &SPLITS } else { &SPLITS_OF_MODELS };
        let told = format!("{whose:?}, {period:?}, {previous:?}");
        let month = sum_spans(now - now % HOUR_MS - 5 * DAY_MS, now, Interval::Day, now);
        let since = month.first().unwrap().from;
        let sections = [Section { split: Split::Whole, spans: month, keys: None }];
        let asked =
            Exploration { whose: &whose, period, previous: Some(previous), splits, sections: &sections };
        let (series, found, counted) = explored(store, &asked);
        let mine: Vec<&UsageEvent> = calls.iter().filter(|call| covers(&whose, call)).collect();
        let of_month = mine.iter().filter(|call| call.at >= since).count();
        assert_eq!(counted, [of_month as u64], "month: {told}");
        for time in [period, previous] {
            let mut total = Rollup::default();
            for (local, _) in time.intervals() {
                series.iter().filter(|(at, _)| *at == local).for_each(|(_, sums)| total.merge(sums));
            }
            assert_eq!(total, summed(mine.iter().copied(), time), "series: {told}");
        }
        for (lines, split) in found.iter().zip(splits) {
            seen += check_lines(lines, *split, &mine, [period, previous], &told);
        }
    }
    seen
}

#[test]
fn usage_explored_equals_the_sums_of_the_calls_of_both_times() {
    let mut seen = 0;
    for seed in 20..22 {
        let mut dice = Dice(seed);
        let mut calls = vec![];
        let (store, now) = filled(&mut dice, &mut calls);
        for (days, interval, zone) in [
            (1, Interval::Hour, ZONES[0]),
            (9, Interval::Hour, ZONES[0]),
            (1, Interval::Day, ZONES[1]),
            (8, Interval::Day, ZONES[2]),
            (12, Interval::Day, ZONES[0]),
        ] {
            let period = Period::of(Some(now - days * DAY_MS), None, Some(interval), now, zone).unwrap();
            let previous = period.previous(now, zone).unwrap();
            seen += check(&store, &calls, now, &period, &previous);
        }
    }
    assert!(seen > 300, "{seen}");
}

#[test]
fn usage_explored_of_nobody_is_empty() {
    let now = 20_000 * DAY_MS;
    let period = Period::of(None, None, None, now, |_| 0).unwrap();
    let whose = Whose { teams: Some(vec![]), ..Whose::default() };
    let asked =
        Exploration { whose: &whose, period: &period, previous: None, splits: &SPLITS, sections: &[] };
    let (series, splits, _) = explored(&Store::new(), &asked);
    assert!(series.is_empty() && splits.iter().all(Vec::is_empty));
    assert_eq!(period.intervals().len(), 24, "and has all its intervals");
}
