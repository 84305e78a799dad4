//! Reports: what the SQL reads, counted again from the calls themselves.

use super::{DAY_MS, HOUR_MS, sql_files};
use domain::usage::fold::{Row, fold};
use domain::usage::outcome::Outcome;
use domain::usage::period::Period;
use domain::usage::report::{
    Candidates, Counts, LineKey, Lines, Parts, Pending, Question, Range, RankRow, ReadRow, Reading, Split,
    Whose, add_split_rows, buckets, pending_of,
};
use domain::usage::rollup::Rollup;
use domain::usage::span::{Granularity, Interval, Span};
use domain::usage::tally::{Caller, Tallies, Tally};
use domain::usage::{AiUsage, UsageEvent};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub const FINE_MS: i64 = 300_000;
/// 2026-03-29T01:00Z, when Berlin goes from +1 to +2.
pub const SPRING: i64 = 1_774_746_000_000;

pub fn query(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/db/usage_queries");
    fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap()
}

pub fn migrated() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    for file in sql_files("../usage-migrations") {
        db.execute_batch(&fs::read_to_string(&file).unwrap()).unwrap();
    }
    db
}

/// A deterministic generator (`SplitMix64`).
pub struct Dice(u64);

impl Dice {
    pub fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        i64::try_from((z ^ (z >> 31)) % sides.unsigned_abs()).unwrap()
    }

    pub fn call(&mut self, at: i64) -> UsageEvent {
        let (team, token, route) = (self.roll(3), self.roll(3), self.roll(4));
        let n = |n: i64| u64::try_from(n).unwrap();
        UsageEvent {
            id: String::new(),
            at,
            token_id: format!("tok_{team}{token}").into(),
            team: format!("team-{team}").into(),
            secret: None,
            // Ids of which one is the beginning of another.
            route_id: (route > 0)
                .then(|| format!("rte_{}", "1".repeat(usize::try_from(route).unwrap())).into()),
            route_path: None,
            path: "/x".into(),
            method: "GET".into(),
            status: 200,
            outcome: Outcome::ALL
                [usize::try_from(self.roll(i64::try_from(Outcome::ALL.len()).unwrap())).unwrap()],
            latency_ms: u32::try_from(self.roll(5_000)).unwrap(),
            gateway_ms: 1,
            duration_ms: None,
            bytes_in: Some(n(self.roll(9_999))),
            // Sums that a JavaScript number would round.
            bytes_out: Some((1 << 53) + 1),
            client_ip: None,
            user_agent: None,
            country: None,
            request_id: "r".into(),
            ai: (route == 1).then(|| AiUsage {
                model: Some("gpt 5".into()),
                prompt_tokens: Some(n(self.roll(99))),
                ..AiUsage::default()
            }),
        }
    }
}

pub const COLUMNS: &str = "calls, ok, client_errors, upstream_errors, timeouts, gateway_errors, denied, limited, \
    latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros";

/// The database of usage, as intake and fold write it.
pub struct Store {
    pub db: Connection,
    open: Tallies,
    arrived: Tallies,
    inbox: i64,
}

impl Store {
    pub fn new() -> Self {
        Self { db: migrated(), open: Tallies::default(), arrived: Tallies::default(), inbox: 0 }
    }

    pub fn take_in(&mut self, tallies: Tallies) {
        self.inbox += 1;
        let sums = serde_json::to_string(&tallies).unwrap();
        self.db
            .execute("INSERT INTO inbox VALUES (?1, 0, 0, NULL, NULL, ?2, '')", params![self.inbox, sums])
            .unwrap();
        self.arrived.extend(tallies);
    }

    pub fn fold(&mut self, now: i64) {
        let transaction = self.db.transaction().unwrap();
        let rows = fold(&mut self.open, std::mem::take(&mut self.arrived), now);
        for row in rows {
            if row.granularity == Granularity::FiveMinutes {
                note_last_call(&transaction, &row);
            }
            add_row(&transaction, &row);
        }
        transaction.execute_batch("DELETE FROM inbox; DELETE FROM open").unwrap();
        for (granularity, bucket, tally) in self.open.iter() {
            for (part, tally) in tally.clone().parts(3_000).into_iter().enumerate() {
                let sums = serde_json::to_string(&tally).unwrap();
                transaction
                    .prepare_cached("INSERT INTO open VALUES (?1, ?2, ?3, ?4)")
                    .unwrap()
                    .execute(params![granularity.as_str(), bucket, i64::try_from(part).unwrap(), sums])
                    .unwrap();
            }
        }
        transaction.execute("UPDATE state SET version = version + 1", []).unwrap();
        transaction.commit().unwrap();
    }
}

pub fn note_last_call(db: &Connection, row: &Row) {
    let key: Vec<&str> = row.key.split(' ').collect();
    if let ("team-route", [team, route]) = (row.dimension.as_str(), key.as_slice()) {
        db.prepare_cached(
            "INSERT INTO last_calls VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
        )
        .unwrap()
        .execute(params![route, team, row.sums.last_at])
        .unwrap();
    }
}

pub fn add_row(db: &Connection, row: &Row) {
    let key = params![row.dimension.as_str(), row.granularity.as_str(), row.bucket, row.key];
    let before: Option<String> = db
        .prepare_cached(&format!(
            "SELECT json_array(json_array({COLUMNS}), json(histogram)) FROM rollups
            WHERE dimension = ?1 AND granularity = ?2 AND bucket = ?3 AND key = ?4"
        ))
        .unwrap()
        .query_row(key, |row| row.get(0))
        .optional()
        .unwrap();
    let mut rollup = row.sums.rollup.clone();
    if let Some(before) = before {
        let (sums, histogram) = serde_json::from_str(&before).unwrap();
        rollup.merge(&Rollup::of(sums, histogram));
    }
    let mut values: Vec<rusqlite::types::Value> = vec![
        row.dimension.as_str().to_owned().into(),
        row.granularity.as_str().to_owned().into(),
        row.bucket.into(),
        row.key.clone().into(),
    ];
    values.extend(rollup.sums().map(|sum| i64::try_from(sum).unwrap().into()));
    values.push(serde_json::to_string(&rollup.latency).unwrap().into());
    let sql = format!("REPLACE INTO rollups VALUES (?{})", ", ?".repeat(values.len() - 1));
    db.prepare_cached(&sql).unwrap().execute(rusqlite::params_from_iter(values)).unwrap();
}

pub fn rows<T>(
    db: &Connection,
    name: &str,
    ranges: &[Range],
    spans: &[Span],
    read: impl Fn(&rusqlite::Row) -> rusqlite::Result<T>,
) -> Vec<T> {
    let (ranges, buckets) =
        (serde_json::to_string(ranges).unwrap(), serde_json::to_string(&buckets(spans)).unwrap());
    let mut statement = db.prepare_cached(&query(name)).unwrap();
    let rows = statement.query_map(params![ranges, buckets], |row| read(row)).unwrap();
    rows.map(Result::unwrap).collect()
}

pub fn read_rows(db: &Connection, ranges: &[Range], spans: &[Span]) -> Vec<ReadRow> {
    rows(db, "report_rows", ranges, spans, |row| {
        let (sums, histogram): (String, String) = (row.get("sums")?, row.get("histogram")?);
        Ok(ReadRow {
            granularity: row.get("granularity")?,
            dimension: row.get("dimension")?,
            bucket: row.get("bucket")?,
            key: row.get("key")?,
            rollup: Rollup::of(
                serde_json::from_str(&sums).unwrap(),
                serde_json::from_str(&histogram).unwrap(),
            ),
        })
    })
}

pub fn read_ranking(db: &Connection, whose: &Whose, split: Split, spans: &[Span]) -> Vec<RankRow> {
    rows(db, "report_ranking", &whose.ranges_of(split, spans), spans, |row| {
        let n = |name: &str| row.get::<_, i64>(name).map(i64::unsigned_abs);
        Ok(RankRow {
            dimension: row.get("dimension")?,
            key: row.get("key")?,
            counts: Counts { calls: n("calls")?, ok: n("ok")? },
        })
    })
}

pub fn read_pending(db: &Connection, pending: &[Pending]) -> Tallies {
    let mut tallies = Tallies::default();
    let mut statement = db.prepare_cached(&query("report_open")).unwrap();
    let rows = statement.query_map([serde_json::to_string(pending).unwrap()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
    });
    for (granularity, bucket, sums) in rows.unwrap().map(Result::unwrap) {
        let granularity = Granularity::parse(&granularity).unwrap();
        tallies.merge(granularity, bucket, serde_json::from_str::<Tally>(&sums).unwrap());
    }
    let mut statement = db.prepare_cached(&query("report_inbox")).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for sums in rows {
        tallies.extend(serde_json::from_str(&sums.unwrap()).unwrap());
    }
    tallies
}

pub fn read_shown(
    db: &Connection,
    whose: &Whose,
    split: Split,
    spans: &[Span],
    candidates: Candidates,
    most: usize,
) -> Lines {
    let keys = candidates.busiest(most);
    let counts: Vec<Counts> = keys.iter().map(|key| candidates.counts(key)).collect();
    let mut lines = candidates.shown(&keys);
    add_split_rows(&mut lines, split, read_rows(db, &whose.ranges_of_lines(split, spans, &keys), spans));
    let shown: Vec<Counts> = keys
        .iter()
        .map(|key| &lines[&(0, key.clone())].rollup)
        .map(|rollup| Counts { calls: rollup.calls, ok: rollup.ok })
        .collect();
    assert_eq!(shown, counts, "what lines are ranked by is what is shown");
    lines
}

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
        series: read_rows(db, &whose.ranges_of(Split::Whole, &period.series), &period.series),
        tokens: read_ranking(db, whose, Split::Token, sums),
        routes: read_ranking(db, whose, Split::Route, sums),
        pending: read_pending(db, &question.pending()),
    };
    let Parts { series, tokens, routes } = question.parts(reading);
    Report {
        series,
        tokens: read_shown(db, whose, Split::Token, sums, tokens, most),
        routes: read_shown(db, whose, Split::Route, sums, routes, most),
    }
}

/// The same report, counted from the calls.
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
        if bucket < period.from || bucket >= period.to || !whose.covers(&Caller::of(call)) {
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
            all.push(Whose { teams, token: None, route: route.clone() });
        }
        all.push(Whose { teams: Some(vec![team(1)]), token: Some("tok_12".into()), route });
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
        store.take_in(Tallies::of(&batch, now));
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
    let pending = read_pending(db, &Pending::all());
    let lines = pending.iter().flat_map(|(_, _, tally)| tally.iter());
    let covered = lines.filter(|(caller, _)| whose.covers(caller)).map(|(_, sums)| sums.rollup.calls);
    folded.unsigned_abs() + covered.sum::<u64>()
}

/// Returns when each route was last called, as the list of routes does.
pub fn last_calls(db: &Connection, whose: &Whose, spans: &[Span]) -> BTreeMap<String, i64> {
    let mut pending = pending_of(spans);
    pending.push(Pending::last_calls());
    let mut last = whose.last_calls(&read_pending(db, &pending));
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
            let covered: Vec<_> = calls.iter().filter(|call| whose.covers(&Caller::of(call))).collect();
            assert_eq!(calls_of_all_time(&store.db, &whose), covered.len() as u64, "seed {seed}, {whose:?}");
            let mut wanted = BTreeMap::new();
            for call in covered {
                let at = wanted.entry(Caller::of(call).route).or_insert(call.at);
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
