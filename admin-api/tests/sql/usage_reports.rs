//! Reports: what the SQL reads, counted again from the calls themselves.

use super::{DAY_MS, HOUR_MS};
use domain::usage::UsageEvent;
use domain::usage::model;
use domain::usage::period::Period;
use domain::usage::report::{
    Kind, LineKey, Lines, Parts, Pending, Question, Reading, Split, Whose, buckets, pending_of,
};
use domain::usage::sheet::{Line, Sheet};
use domain::usage::span::{Interval, Span};
use domain::usage::tally::Tallies;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

use super::usage_reports_model::*;

/// A report's lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub series: Lines,
    pub tokens: Lines,
    pub routes: Lines,
}

/// A report as the handler makes it.
pub fn report(db: &Connection, whose: &Whose, period: &Period, most: usize) -> Report {
    let question = Question { whose, series: &period.series, sums: &period.sums };
    let sums = &period.sums;
    let reading = Reading {
        series: read_rows(db, &whose.ranges_of(Split::Whole, &period.series), &buckets(&period.series, true)),
        tokens: read_ranking(db, whose, Split::Token, sums),
        routes: read_ranking(db, whose, Split::Route, sums),
        pending: read_pending(db, &question.pending(), &whose.kind),
    };
    let Parts { series, tokens, routes } = question.parts(reading);
    Report {
        series,
        tokens: read_shown(db, whose, Split::Token, sums, tokens, most),
        routes: read_shown(db, whose, Split::Route, sums, routes, most),
    }
}

fn route_of(call: &UsageEvent) -> &str {
    call.route_id.as_ref().map(domain::id::RouteId::as_str).unwrap_or_default()
}

/// The model that a call is counted under; '' if it is not known.
pub fn model_of(call: &UsageEvent) -> &str {
    call.ai.as_ref().and_then(|ai| ai.model.as_deref()).unwrap_or_default()
}

pub fn covers(whose: &Whose, call: &UsageEvent) -> bool {
    let (team, token) = (call.team.as_str(), call.token_id.as_str());
    let model: String = model::part_of(model_of(call)).collect();
    let (is_covered, route) = match whose.kind {
        Kind::Any => (true, route_of(call)),
        Kind::Ai | Kind::Model(_) => (call.ai.is_some(), model.as_str()),
    };
    is_covered && whose.covers(&Line { places: [0; 3], team, token, route })
}

/// Counts a report from the calls themselves.
pub fn counted(
    calls: &[UsageEvent],
    whose: &Whose,
    period: &Period,
    offset_at: impl Fn(i64) -> i64,
) -> Report {
    let mut parts = Report::default();
    let finest_ms = if period.interval == Interval::FiveMinutes { FINE_MS } else { HOUR_MS };
    for call in calls {
        // The period covers whole hours, or whole five minutes.
        let bucket = call.at - call.at % finest_ms;
        if bucket < period.from || bucket >= period.to || !covers(whose, call) {
            continue;
        }
        let interval = match period.interval {
            Interval::FiveMinutes => call.at - call.at % FINE_MS,
            Interval::Hour => call.at - call.at % HOUR_MS,
            Interval::Day => {
                let local = bucket + offset_at(bucket);
                local - local % DAY_MS
            }
        };
        let (token, team) = (call.token_id.to_string(), call.team.to_string());
        let route = call.route_id.as_ref().map(ToString::to_string).unwrap_or_default();
        for (lines, at, key) in [
            (&mut parts.series, interval, LineKey::default()),
            (&mut parts.tokens, 0, LineKey { id: token, team }),
            (&mut parts.routes, 0, LineKey { id: route, team: String::new() }),
        ] {
            lines.entry((at, key)).or_default().rollup.count(call);
        }
    }
    parts
}

pub fn without_times(mut parts: Report) -> Report {
    for lines in [&mut parts.series, &mut parts.tokens, &mut parts.routes] {
        for sums in lines.values_mut() {
            sums.last_at = 0;
        }
    }
    parts
}

/// Every kind of calls that a report can cover.
pub fn all_whose() -> Vec<Whose> {
    let team = |n: i64| format!("team-{n}").into();
    let mut all = vec![];
    for route in [None, Some("rte_1"), Some("")] {
        let route = route.map(Into::into);
        for teams in [None, Some(vec![]), Some(vec![team(1)]), Some(vec![team(0), team(2)])] {
            all.push(Whose { teams, route: route.clone(), ..Whose::default() });
        }
        let token = Some("tok_12".into());
        all.push(Whose { teams: Some(vec![team(1)]), token, route, ..Whose::default() });
    }
    all
}

pub type Zone = fn(i64) -> i64;
pub const ZONES: [Zone; 4] = [
    |_| 0,
    |_| 8 * HOUR_MS,
    |at| if at < SPRING { HOUR_MS } else { 2 * HOUR_MS },
    |_| 5 * HOUR_MS + HOUR_MS / 2,
];

pub fn periods(now: i64, dice: &mut Dice) -> Vec<(Period, Zone)> {
    let since = |from: i64, to: i64, interval, zone: Zone| {
        (Period::of(Some(from), Some(to), Some(interval), now, zone).unwrap(), zone)
    };
    let fine = now - now % FINE_MS;
    let mut periods = vec![
        since(now - 14 * DAY_MS - dice.roll(DAY_MS), now, Interval::Hour, ZONES[0]),
        since(now - 9 * DAY_MS, now - dice.roll(2 * DAY_MS), Interval::Hour, ZONES[0]),
        since(now - DAY_MS, now - dice.roll(HOUR_MS), Interval::Hour, ZONES[0]),
        since(fine - 2 * DAY_MS + FINE_MS, now, Interval::FiveMinutes, ZONES[0]),
        since(fine - DAY_MS, fine - dice.roll(6 * HOUR_MS), Interval::FiveMinutes, ZONES[0]),
    ];
    for zone in ZONES {
        periods.push(since(now - 30 * DAY_MS, now, Interval::Day, zone));
        periods.push(since(now - 9 * DAY_MS, now - dice.roll(HOUR_MS), Interval::Day, zone));
        periods.push(since(now - 25 * DAY_MS, now - dice.roll(9 * DAY_MS), Interval::Day, zone));
    }
    periods
}

/// Takes calls in over 25 days, at random times and up to three days late, with a fold now and then.
pub fn filled(dice: &mut Dice, calls: &mut Vec<UsageEvent>) -> (Store, i64) {
    let mut store = Store::new();
    let mut now = SPRING - 12 * DAY_MS + dice.roll(DAY_MS);
    for _ in 0..150 {
        now += [FINE_MS / 2, HOUR_MS, 8 * HOUR_MS][usize::try_from(dice.roll(3)).unwrap()];
        let age = |dice: &mut Dice| {
            let most = [2_000, 20_000, HOUR_MS, 3 * DAY_MS][usize::try_from(dice.roll(4)).unwrap()];
            dice.roll(most)
        };
        let batch: Vec<UsageEvent> = (0..=dice.roll(6))
            .map(|_| {
                let at = now - age(dice);
                dice.call(at)
            })
            .collect();
        store.take_in(Tallies::of(&batch, now), model::tallies_of(&batch, now));
        calls.extend(batch);
        if dice.roll(3) == 0 {
            store.fold(now);
        }
    }
    (store, now + dice.roll(HOUR_MS))
}

/// Counts all calls of all time, as the first page does.
pub fn calls_of_all_time(db: &Connection, whose: &Whose) -> u64 {
    let (dimension, keys) = match &whose.teams {
        None => ("all", r#"[""]"#.to_owned()),
        Some(teams) => ("team", serde_json::to_string(teams).unwrap()),
    };
    let folded: i64 =
        db.query_row(&query("report_calls"), params![dimension, keys], |row| row.get(0)).unwrap();
    let mut calls = folded.unsigned_abs();
    for bucket in read_pending(db, &Pending::all(), &whose.kind).iter().flat_map(Sheet::buckets) {
        bucket.each(|line, sums| calls += if whose.covers(line) { sums.rollup.calls } else { 0 });
    }
    calls
}

/// Returns when each route was last called, as the list of routes does.
pub fn last_calls(db: &Connection, whose: &Whose, spans: &[Span]) -> BTreeMap<String, i64> {
    let mut pending = pending_of(spans);
    pending.push(Pending::last_calls());
    let mut last = whose.last_calls(&read_pending(db, &pending, &whose.kind));
    let teams = whose.teams.as_ref().map(|teams| serde_json::to_string(teams).unwrap());
    let mut statement = db.prepare_cached(&query("report_last_calls")).unwrap();
    let noted = statement.query_map([teams], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    for (route, at) in noted.unwrap().map(Result::unwrap) {
        let known = last.entry(route).or_insert(at);
        *known = at.max(*known);
    }
    last
}

#[test]
fn usage_reports_know_all_calls_of_all_time_and_when_a_route_was_last_called() {
    for seed in 100..120 {
        let mut dice = Dice(seed);
        let mut calls = vec![];
        let (store, now) = filled(&mut dice, &mut calls);
        for teams in [None, Some(vec![]), Some(vec!["team-1"]), Some(vec!["team-0", "team-2"])] {
            let teams = teams.map(|teams| teams.into_iter().map(Into::into).collect());
            let whose = Whose { teams, ..Whose::default() };
            let covered: Vec<_> = calls.iter().filter(|call| covers(&whose, call)).collect();
            assert_eq!(calls_of_all_time(&store.db, &whose), covered.len() as u64, "seed {seed}, {whose:?}");
            let mut wanted = BTreeMap::new();
            for call in covered {
                let at = wanted.entry(route_of(call).to_owned()).or_insert(call.at);
                *at = call.at.max(*at);
            }
            // Also in the list of a day that is long over.
            for to in [now, now - 20 * DAY_MS] {
                let spans = Period::of(None, Some(to), None, now, |_| 0).unwrap().sums;
                assert_eq!(last_calls(&store.db, &whose, &spans), wanted, "seed {seed}, {whose:?}, {to}");
            }
        }
    }
}

#[test]
fn usage_reports_look_rows_up_by_dimension_bucket_and_range_of_keys() {
    let db = migrated();
    for (name, wanted) in [
        (
            "report_rows",
            "SEARCH r USING PRIMARY KEY (dimension=? AND granularity=? AND bucket=? AND key>? AND key<?)",
        ),
        (
            "report_ranking",
            "SEARCH r USING PRIMARY KEY (dimension=? AND granularity=? AND bucket=? AND key>? AND key<?)",
        ),
        ("report_calls", "SEARCH r USING PRIMARY KEY (dimension=? AND granularity=? AND bucket=? AND key=?)"),
    ] {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {}", query(name))).unwrap();
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let plan =
            statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<String> = plan.map(Result::unwrap).collect();
        assert!(plan.iter().any(|step| step == wanted), "{name}: {plan:#?}");
    }
}

/// Lines of calls that all took `latency_ms`.
#[test]
fn usage_reports_equal_the_sums_of_the_calls() {
    let mut seen = 0;
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let mut calls = vec![];
        let (store, now) = filled(&mut dice, &mut calls);
        for (period, zone) in periods(now, &mut dice) {
            for whose in all_whose() {
                let told = format!("seed {seed}, {whose:?}, {period:?}");
                let parts = without_times(report(&store.db, &whose, &period, usize::MAX));
                let wanted = counted(&calls, &whose, &period, zone);
                seen += wanted.tokens.len();
                assert_eq!(parts.series, wanted.series, "series: {told}");
                assert_eq!(parts.tokens, wanted.tokens, "tokens: {told}");
                assert_eq!(parts.routes, wanted.routes, "routes: {told}");
                let total = |lines: &Lines| lines.values().map(|sums| sums.rollup.calls).sum::<u64>();
                assert_eq!(total(&parts.series), total(&parts.routes), "parts add up: {told}");
            }
        }
    }
    assert!(seen > 2_000, "{seen}");
}
