//! The database of usage as reports find it, and the readings of their SQL.

use super::sql_files;
use domain::usage::fold::{Dimension, Row, fold};
use domain::usage::numbers::Numbers;
use domain::usage::outcome::Outcome;
use domain::usage::report::{
    Bucket, Candidates, Counts, Kind, Lines, Pending, Range, RankRow, ReadRow, Split, Whose, add_rows,
    buckets,
};
use domain::usage::rollup::Rollup;
use domain::usage::sheet::Sheet;
use domain::usage::span::{Granularity, Span};
use domain::usage::tally::Tallies;
use domain::usage::{AiUsage, UsageEvent};
use rusqlite::{Connection, OptionalExtension, params};
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
pub struct Dice(pub u64);

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
            derived: None,
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
            ai: (route == 1).then(|| AiUsage {
                // Names of which one is a part of another, and one that is not known.
                model: MODELS[usize::try_from(self.roll(4)).unwrap()].map(Into::into),
                prompt_tokens: Some(n(self.roll(99))),
                ..AiUsage::default()
            }),
        }
    }
}

pub const MODELS: [Option<&str>; 4] = [Some("gpt 5"), Some("gpt"), Some("5"), None];

pub const COLUMNS: &str = "calls, ok, client_errors, upstream_errors, timeouts, gateway_errors, denied, limited, \
    latency_sum_ms, gateway_sum_ms, bytes_in, bytes_out, prompt_tokens, completion_tokens, cached_tokens, cost_micros";

/// The database of usage, as intake and fold write it.
pub struct Store {
    pub db: Connection,
    open: [Tallies; 2],
    arrived: [Tallies; 2],
    inbox: i64,
}

impl Store {
    pub fn new() -> Self {
        Self { db: migrated(), open: Default::default(), arrived: Default::default(), inbox: 0 }
    }

    pub fn take_in(&mut self, tallies: Tallies, models: Tallies) {
        self.inbox += 1;
        let [sums, of_models] =
            [&tallies, &models].map(|tallies| serde_json::to_string(&Sheet::from(tallies)).unwrap());
        let of_models = if models.is_empty() { "" } else { &of_models };
        self.db
            .execute(
                "INSERT INTO inbox VALUES (?1, 0, 0, NULL, NULL, ?2, '', '', '', ?3)",
                params![self.inbox, sums, of_models],
            )
            .unwrap();
        self.arrived[0].extend(tallies);
        self.arrived[1].extend(models);
    }

    pub fn fold(&mut self, now: i64) {
        let transaction = self.db.transaction().unwrap();
        let [calls, models] = &mut self.open;
        let [arrived, of_models] = std::mem::take(&mut self.arrived);
        let mut rows = fold(calls, arrived, now, &Dimension::CALLS);
        rows.extend(fold(models, of_models, now, &Dimension::MODELS));
        for row in rows {
            if row.granularity == Granularity::FiveMinutes {
                note_last_call(&transaction, &row);
            }
            add_row(&transaction, &row);
        }
        transaction.execute_batch("DELETE FROM inbox; DELETE FROM open; DELETE FROM open_models").unwrap();
        for (open, table) in self.open.iter().zip(["open", "open_models"]) {
            let insert = format!("INSERT INTO {table} VALUES (?1, ?2, ?3, ?4)");
            for (granularity, bucket, tally) in open.iter() {
                for (part, tally) in tally.clone().parts(3_000).into_iter().enumerate() {
                    let sums = serde_json::to_string(&Sheet::of_bucket(granularity, bucket, &tally)).unwrap();
                    let part = i64::try_from(part).unwrap();
                    let row = params![granularity.as_str(), bucket, part, sums];
                    transaction.prepare_cached(&insert).unwrap().execute(row).unwrap();
                }
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
        let mut numbers = Numbers::of(&before);
        let mut read = Rollup::default();
        read.sums_mut().into_iter().for_each(|sum| *sum = numbers.next().unwrap());
        read.latency.add_all(numbers);
        rollup.merge(&read);
    }
    let mut values: Vec<rusqlite::types::Value> = vec![
        row.dimension.as_str().to_owned().into(),
        row.granularity.as_str().to_owned().into(),
        row.bucket.into(),
        row.key.clone().into(),
    ];
    values.extend(rollup.sums().map(|sum| i64::try_from(sum).unwrap().into()));
    values.push(rollup.latency.to_json().into());
    let sql = format!("REPLACE INTO rollups VALUES (?{})", ", ?".repeat(values.len() - 1));
    db.prepare_cached(&sql).unwrap().execute(rusqlite::params_from_iter(values)).unwrap();
}

pub fn rows<T>(
    db: &Connection,
    name: &str,
    ranges: &[Range],
    buckets: &[Bucket],
    read: impl Fn(&rusqlite::Row) -> rusqlite::Result<T>,
) -> Vec<T> {
    let (ranges, buckets) = (serde_json::to_string(ranges).unwrap(), serde_json::to_string(buckets).unwrap());
    let mut statement = db.prepare_cached(&query(name)).unwrap();
    let rows = statement.query_map(params![ranges, buckets], |row| read(row)).unwrap();
    rows.map(Result::unwrap).collect()
}

pub fn read_rows(db: &Connection, ranges: &[Range], buckets: &[Bucket]) -> Vec<ReadRow> {
    rows(db, "report_rows", ranges, buckets, |row| {
        let (sums, histograms): (String, String) = (row.get("sums")?, row.get("histograms")?);
        assert!(histograms.len() < 300_000, "{} bytes", histograms.len());
        let mut rollup = Rollup::default();
        rollup.sums_mut().into_iter().zip(Numbers::of(&sums)).for_each(|(sum, n)| *sum = n);
        rollup.latency.add_all(Numbers::of(&histograms));
        Ok(ReadRow {
            dimension: row.get("dimension")?,
            key: row.get("key")?,
            interval: row.get("interval")?,
            rollup,
        })
    })
}

pub fn read_ranking(db: &Connection, whose: &Whose, split: Split, spans: &[Span]) -> Vec<RankRow> {
    read_ranking_of(db, &whose.ranges_of(split, spans), spans)
}

pub fn read_ranking_of(db: &Connection, ranges: &[Range], spans: &[Span]) -> Vec<RankRow> {
    rows(db, "report_ranking", ranges, &buckets(spans, false), |row| {
        let n = |name: &str| row.get::<_, i64>(name).map(i64::unsigned_abs);
        Ok(RankRow {
            dimension: row.get("dimension")?,
            key: row.get("key")?,
            counts: Counts {
                calls: n("calls")?,
                ok: n("ok")?,
                refused: n("refused")?,
                cost_micros: n("cost_micros")?,
                ai_tokens: n("ai_tokens")?,
            },
        })
    })
}

pub fn read_pending(db: &Connection, pending: &[Pending], kind: &Kind) -> Vec<Sheet> {
    let mut sheets = vec![];
    let pending = serde_json::to_string(pending).unwrap();
    let (open, inbox) = match kind {
        Kind::Any => ("report_open", "report_inbox"),
        Kind::Ai | Kind::Model(_) => ("report_open_models", "report_inbox_models"),
    };
    for (name, params) in [(open, params![pending]), (inbox, &[])] {
        let mut statement = db.prepare_cached(&query(name)).unwrap();
        let sums = statement.query_map(params, |row| row.get::<_, String>("sums")).unwrap();
        sheets.extend(sums.map(|sums| serde_json::from_str::<Sheet>(&sums.unwrap()).unwrap()));
    }
    sheets
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
    let ranges = whose.ranges_of_lines(split, spans, &keys);
    add_rows(&mut lines, split, read_rows(db, &ranges, &buckets(spans, false)));
    let shown: Vec<Counts> =
        keys.iter().map(|key| &lines[&(0, key.clone())].rollup).map(Counts::from).collect();
    assert_eq!(shown, counts, "what lines are ranked by is what is shown");
    lines
}
