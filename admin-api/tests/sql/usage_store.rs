//! The store of usage on its real schema, as the consumer and the fold use it.

use super::sql_files;
use admin_api::fold::{Arrived, OpenPart, Plan, label_rows, plan};
use admin_api::intake::{Entry, Keyed, TakenKeys, fresh};
use domain::time::UnixMs;
use domain::usage::label::LabelTallies;
use domain::usage::segment::{FULL_CALLS, RawCall, blocks, decode, encode, head, times};
use domain::usage::sheet::Sheet;
use domain::usage::span::Granularity;
use domain::usage::tally::Tallies;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub fn usage_query(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/db/usage_queries").join(format!("{name}.sql"));
    fs::read_to_string(path).unwrap()
}

/// Bytes that a fold takes: calls are not packed here, and seven times as long.
const MOST_BYTES: u32 = 7_000_000;

/// The database of usage. Calls are kept as JSON here; only their size depends on compression.
pub struct Store(pub Connection);

/// The reading of a fold.
pub struct FoldRead {
    version: i64,
    folded_to: i64,
    arrived: Arrived,
    labels: LabelTallies,
    open: Vec<OpenPart>,
    open_models: Vec<OpenPart>,
    segment: Option<(i64, Vec<RawCall>)>,
}

impl Store {
    pub fn new() -> Self {
        let db = Connection::open_in_memory().unwrap();
        for file in sql_files("../usage-migrations") {
            db.execute_batch(&fs::read_to_string(&file).unwrap()).unwrap();
        }
        Self(db)
    }

    pub fn read_intake(&self, messages: &[Keyed]) -> (i64, Vec<TakenKeys>) {
        let last = self.0.query_row(&usage_query("inbox_last"), [], |row| row.get("last")).unwrap();
        let slots: Vec<i64> = messages.iter().map(|keyed| keyed.key.slot()).collect();
        let mut statement = self.0.prepare_cached(&usage_query("taken_get")).unwrap();
        let rows = statement
            .query_map([serde_json::to_string(&slots).unwrap()], |row| {
                Ok(TakenKeys { slot: row.get(0)?, keys: row.get(1)? })
            })
            .unwrap();
        (last, rows.map(Result::unwrap).collect())
    }

    /// Commits what a consumer makes of what it has read. Returns whether D1 accepted it.
    pub fn commit_intake(&mut self, last: i64, entry: &Entry, now: UnixMs) -> bool {
        let sums = serde_json::to_string(&Sheet::from(&entry.sums)).unwrap();
        let calls = if entry.calls.is_empty() {
            String::new()
        } else {
            String::from_utf8(encode(&entry.calls).unwrap()).unwrap()
        };
        let labels = serde_json::to_string(&entry.labels).unwrap();
        let labels = if entry.labels.is_empty() { "" } else { &labels };
        let models = serde_json::to_string(&Sheet::from(&entry.models)).unwrap();
        let models = if entry.models.is_empty() { "" } else { &models };
        let time = |call: Option<&RawCall>| call.map(RawCall::at);
        let transaction = self.0.transaction().unwrap();
        let added = transaction.execute(
            &usage_query("inbox_add"),
            params![
                last + 1,
                now,
                0,
                time(entry.calls.last()),
                time(entry.calls.first()),
                sums,
                calls,
                head(&entry.calls),
                labels,
                models
            ],
        );
        if added.is_err() {
            return false;
        }
        if !entry.keys.is_empty() {
            let keys = serde_json::to_string(&entry.keys).unwrap();
            transaction.execute(&usage_query("taken_add"), [keys]).unwrap();
        }
        if !entry.losses.is_empty() {
            let losses = serde_json::to_string(&entry.losses).unwrap();
            transaction.execute(&usage_query("losses_add"), params![losses, now]).unwrap();
        }
        transaction.commit().unwrap();
        true
    }

    pub fn take_in(&mut self, messages: &[Keyed], now: UnixMs) {
        let (last, taken) = self.read_intake(messages);
        let entry = Entry::of(&fresh(messages, &taken), now);
        assert!(self.commit_intake(last, &entry, now));
    }

    pub fn read_fold(&self) -> FoldRead {
        let (version, folded_to) =
            self.0.query_row(&usage_query("fold_state"), [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let mut read = FoldRead {
            version,
            folded_to,
            arrived: Arrived::default(),
            labels: LabelTallies::default(),
            open: self.open("fold_open"),
            open_models: self.open("fold_open_models"),
            segment: None,
        };
        let mut statement = self.0.prepare_cached(&usage_query("fold_inbox")).unwrap();
        let mut rows = statement.query([100, MOST_BYTES]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            read.folded_to = row.get("id").unwrap();
            read.arrived.sums.extend(tallies_of(&row.get::<_, String>("sums").unwrap()));
            let models: String = row.get("models").unwrap();
            read.arrived.models.extend(if models.is_empty() {
                Tallies::default()
            } else {
                tallies_of(&models)
            });
            read.arrived.calls.extend(calls_of(&row.get::<_, String>("calls").unwrap()));
            let labels: String = row.get("labels").unwrap();
            read.labels.extend(&serde_json::from_str(&labels).unwrap_or_default());
        }
        let mut statement = self.0.prepare_cached(&usage_query("fold_segment")).unwrap();
        let segment = statement.query_row([i64::try_from(FULL_CALLS).unwrap()], |row| {
            Ok((row.get("id")?, row.get::<_, String>("body")?))
        });
        read.segment = segment.ok().map(|(id, body)| (id, calls_of(&body)));
        read
    }

    pub fn open(&self, query: &str) -> Vec<OpenPart> {
        let mut statement = self.0.prepare_cached(&usage_query(query)).unwrap();
        let rows = statement.query_map([], |row| {
            let granularity: String = row.get("granularity")?;
            let granularity = Granularity::parse(&granularity).unwrap();
            Ok(OpenPart {
                granularity,
                bucket: row.get("bucket")?,
                part: usize::try_from(row.get::<_, i64>("part")?).unwrap(),
                sums: row.get("sums")?,
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Commits what a fold makes of what it has read. Returns whether D1 accepted it.
    pub fn commit_fold(&mut self, read: FoldRead, now: UnixMs) -> bool {
        let had_calls = !read.arrived.calls.is_empty();
        let (segment, last) = read.segment.unzip();
        let last = if had_calls { last.unwrap_or_default() } else { vec![] };
        let mut made = plan(&read.open, &read.open_models, read.arrived, last, now).unwrap();
        if !read.labels.is_empty() {
            made.labels = label_rows(self.stored_labels(&read.labels), &read.labels).unwrap();
        }
        let transaction = self.0.transaction().unwrap();
        let advanced = transaction
            .execute(&usage_query("state_advance"), params![read.version, read.folded_to, now, now, 0]);
        if advanced.is_err() {
            return false;
        }
        write(&transaction, &made, segment, read.folded_to);
        transaction.commit().unwrap();
        true
    }

    /// Folds once as a version that knows no sums by model.
    pub fn fold_as_older(&mut self, now: UnixMs) {
        let mut read = self.read_fold();
        (read.arrived.models, read.open_models) = (Tallies::default(), vec![]);
        assert!(self.commit_fold(read, now));
    }

    /// Folds until nothing is left, as the cron does.
    pub fn fold(&mut self, now: UnixMs) {
        loop {
            let read = self.read_fold();
            assert!(self.commit_fold(read, now));
            if self.count("SELECT count(*) FROM inbox") == 0 {
                break;
            }
        }
    }

    /// All calls that the database counts: rows of weeks, and what is not a row of a week yet.
    pub fn counted(&self) -> u64 {
        let rows: i64 = self
            .0
            .query_row("SELECT coalesce(sum(calls), 0) FROM rollups WHERE dimension = 'all' AND granularity = 'week'", [], |row| {
                row.get(0)
            })
            .unwrap();
        let mut statement = self.0.prepare("SELECT sums FROM open UNION ALL SELECT sums FROM inbox").unwrap();
        let pending = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let calls_in = |sums: &str| {
            let tallies = tallies_of(sums);
            tallies
                .iter()
                .flat_map(|(_, _, tally)| tally.iter())
                .map(|(_, sums)| sums.rollup.calls)
                .sum::<u64>()
        };
        rows.unsigned_abs() + pending.map(|sums| calls_in(&sums.unwrap())).sum::<u64>()
    }

    /// Calls in the rows of a dimension.
    pub fn calls_of(&self, dimension: &str, granularity: &str) -> u64 {
        self.count(&format!(
            "SELECT coalesce(sum(calls), 0) FROM rollups
            WHERE dimension = '{dimension}' AND granularity = '{granularity}'"
        ))
    }

    pub fn count(&self, sql: &str) -> u64 {
        self.0.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    }

    /// Rows written until now, and those that retention will delete of what is there.
    pub fn rows_and_deletes(&self) -> u64 {
        self.0.total_changes()
            + self.count(
                "SELECT (SELECT count(*) FROM rollups WHERE granularity IN ('5m', 'hour'))
                    + (SELECT count(*) FROM taken) + (SELECT count(*) FROM segments) 
                    + (SELECT count(*) FROM blocks) + (SELECT count(*) FROM block_texts)
                    + (SELECT count(*) FROM labels)",
            )
    }

    /// How often each raw call is stored.
    pub fn listed(&self) -> BTreeMap<String, u32> {
        let mut listed = BTreeMap::new();
        for sql in ["SELECT calls FROM inbox", "SELECT body FROM segments", "SELECT body FROM block_texts"] {
            let mut statement = self.0.prepare(sql).unwrap();
            let bodies = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            for body in bodies {
                for call in calls_of(&body.unwrap()) {
                    *listed.entry(call.position().1.to_owned()).or_default() += 1;
                }
            }
        }
        listed
    }
}

fn tallies_of(text: &str) -> Tallies {
    Tallies::from(&serde_json::from_str::<Sheet>(text).unwrap())
}

fn calls_of(text: &str) -> Vec<RawCall> {
    if text.is_empty() { vec![] } else { decode(text.as_bytes()).unwrap() }
}

fn write(db: &Connection, plan: &Plan, mut segment: Option<i64>, folded_to: i64) {
    let run = |name: &str, params: &[&dyn rusqlite::ToSql]| {
        db.prepare_cached(&usage_query(name))
            .unwrap()
            .execute(params)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    };
    run("inbox_remove", params![folded_to]);
    for (change, put, remove) in [
        (&plan.open, "open_put", "open_remove"),
        (&plan.open_models, "open_models_put", "open_models_remove"),
    ] {
        for part in &change.put {
            run(put, params![serde_json::to_string(&[part]).unwrap()]);
        }
        if !change.removed.is_empty() {
            run(remove, params![serde_json::to_string(&change.removed).unwrap()]);
        }
    }
    for rows in &plan.rows {
        run("rollups_add", params![rows]);
    }
    for rows in &plan.labels {
        run("labels_put", params![rows]);
    }
    if !plan.last_calls.is_empty() {
        run("last_calls_put", params![serde_json::to_string(&plan.last_calls).unwrap()]);
    }
    for calls in &plan.segments {
        write_segment(db, segment.take(), calls);
    }
}

/// Writes calls as a segment, with its blocks.
fn write_segment(db: &Connection, id: Option<i64>, calls: &[RawCall]) {
    let text = |calls: &[RawCall]| String::from_utf8(encode(calls).unwrap()).unwrap();
    let blocks = blocks(calls.to_vec());
    let body = if blocks.len() > 1 { String::new() } else { text(calls) };
    let (since, until) = times(calls).unwrap();
    let (count, bytes) = (i64::try_from(calls.len()).unwrap(), i64::try_from(body.len()).unwrap());
    db.prepare_cached(&usage_query("segment_put"))
        .unwrap()
        .execute(params![id, since, until, count, bytes, head(calls), None::<&str>, body])
        .unwrap();
    let row = |(n, calls): (usize, &Vec<RawCall>)| {
        let (since, until) = times(calls).unwrap();
        json!({"n": n, "since": since, "until": until, "head": head(calls), "start": 0, "bytes": 0})
    };
    if blocks.len() > 1 {
        let rows: Vec<Value> = blocks.iter().enumerate().map(row).collect();
        let texts: Vec<(usize, String)> =
            blocks.iter().enumerate().map(|(n, calls)| (n, text(calls))).collect();
        for (name, rows) in
            [("blocks_put", serde_json::to_string(&rows)), ("block_texts_put", serde_json::to_string(&texts))]
        {
            db.prepare_cached(&usage_query(name)).unwrap().execute(params![id, rows.unwrap()]).unwrap();
        }
    }
}
