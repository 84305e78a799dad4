//! The store of usage on its real schema: each call counts once whatever happens, and what that costs.

use super::usage_sent::{START, Seeded, call, keyed};
use super::{DAY_MS, HOUR_MS, sql_files};
use admin_api::fold::{OpenPart, Plan, label_rows, plan};
use admin_api::intake::{Entry, Keyed, TakenKeys, fresh};
use domain::time::{MINUTE_MS, UnixMs};
use domain::usage::UsageEvent;
use domain::usage::label::{LabelTallies, Labels};
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
    arrived: Tallies,
    labels: LabelTallies,
    calls: Vec<RawCall>,
    open: Vec<OpenPart>,
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

    fn read_intake(&self, messages: &[Keyed]) -> (i64, Vec<TakenKeys>) {
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
    fn commit_intake(&mut self, last: i64, entry: &Entry, now: UnixMs) -> bool {
        let sums = serde_json::to_string(&Sheet::from(&entry.sums)).unwrap();
        let calls = if entry.calls.is_empty() {
            String::new()
        } else {
            String::from_utf8(encode(&entry.calls).unwrap()).unwrap()
        };
        let labels = serde_json::to_string(&entry.labels).unwrap();
        let labels = if entry.labels.is_empty() { "" } else { &labels };
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
                labels
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

    fn read_fold(&self) -> FoldRead {
        let (version, folded_to) =
            self.0.query_row(&usage_query("fold_state"), [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let mut read = FoldRead {
            version,
            folded_to,
            arrived: Tallies::default(),
            labels: LabelTallies::default(),
            calls: vec![],
            open: self.open(),
            segment: None,
        };
        let mut statement = self.0.prepare_cached(&usage_query("fold_inbox")).unwrap();
        let mut rows = statement.query([100, MOST_BYTES]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            read.folded_to = row.get("id").unwrap();
            read.arrived.extend(tallies_of(&row.get::<_, String>("sums").unwrap()));
            read.calls.extend(calls_of(&row.get::<_, String>("calls").unwrap()));
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

    pub fn open(&self) -> Vec<OpenPart> {
        let mut statement = self.0.prepare_cached(&usage_query("fold_open")).unwrap();
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
    fn commit_fold(&mut self, read: FoldRead, now: UnixMs) -> bool {
        let had_calls = !read.calls.is_empty();
        let (segment, last) = read.segment.unzip();
        let last = if had_calls { last.unwrap_or_default() } else { vec![] };
        let mut made = plan(&read.open, read.arrived, read.calls, last, now).unwrap();
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
    for part in &plan.put {
        run("open_put", params![serde_json::to_string(&[part]).unwrap()]);
    }
    if !plan.removed.is_empty() {
        run("open_remove", params![serde_json::to_string(&plan.removed).unwrap()]);
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

/// A consumer or a fold between two steps; it may die at any.
enum Worker {
    Idle,
    /// A consumer that has read for the messages of a delivery.
    Consumed(Vec<usize>, i64, Vec<TakenKeys>),
    Folded(Box<FoldRead>),
}

/// Plays one schedule: messages come again and in any order, two consumers and two folds work at once, and each may
/// die between any two steps. Nothing is acknowledged before it is stored.
fn play(seed: u64) {
    let mut random = Seeded::new(seed);
    let mut now = START + 23 * HOUR_MS;
    let messages: Vec<Keyed> =
        (0..=5 + random.below(8)).map(|number| scheduled(&mut random, seed, number, now)).collect();
    let sent: u64 = messages.iter().map(|keyed| keyed.message.events.len() as u64).sum();
    let mut store = Store::new();
    let mut queue: Vec<usize> = (0..messages.len()).collect();
    let mut workers = [Worker::Idle, Worker::Idle, Worker::Idle, Worker::Idle];
    for step in 0..400 {
        now += i64::try_from(random.below(90_000)).unwrap();
        let turn = random.usize_below(4);
        let dies = random.below(6) == 0;
        let state = std::mem::replace(&mut workers[turn], Worker::Idle);
        workers[turn] = match (state, turn) {
            (Worker::Idle, 0 | 1) if !queue.is_empty() => {
                let take: Vec<usize> =
                    (0..=random.below(4)).map(|_| queue[random.usize_below(queue.len())]).collect();
                let batch: Vec<Keyed> = take.iter().map(|i| messages[*i].clone()).collect();
                let (last, taken) = store.read_intake(&batch);
                Worker::Consumed(take, last, taken)
            }
            (Worker::Idle, 2 | 3) => Worker::Folded(Box::new(store.read_fold())),
            (_, _) if dies && random.below(2) == 0 => Worker::Idle,
            (Worker::Consumed(take, last, taken), _) => {
                let batch: Vec<Keyed> = take.iter().map(|i| messages[*i].clone()).collect();
                let entry = Entry::of(&fresh(&batch, &taken), now);
                let is_stored = store.commit_intake(last, &entry, now);
                // Death after the commit: no acknowledgement, so all come again.
                if is_stored && !dies {
                    queue.retain(|i| !take.contains(i));
                }
                Worker::Idle
            }
            (Worker::Folded(read), _) => {
                store.commit_fold(*read, now);
                Worker::Idle
            }
            (idle, _) => idle,
        };
        assert!(step % 40 != 0 || store.counted() <= sent, "seed {seed}");
    }
    for index in queue {
        store.take_in(&[messages[index].clone()], now);
    }
    check_stored(&mut store, &messages, now, seed);
}

fn scheduled(random: &mut Seeded, seed: u64, number: u64, now: UnixMs) -> Keyed {
    let late = random.below(3) * random.below(3) * random.below(2 * 60) * MINUTE_MS.unsigned_abs();
    let at = now - i64::try_from(late).unwrap();
    let events = (0..=random.below(5)).map(|i| {
        let id = format!("{seed}-{number}-{i}");
        let label = ([None, Some("a"), Some("b")])[random.usize_below(3)];
        let event = call(&id, at + i64::try_from(i).unwrap(), random.below(3), random.below(2));
        UsageEvent { label: label.map(Into::into), ..event }
    });
    let events = events.collect();
    keyed(number + seed * 1_000, at, events)
}

/// Checks that what was sent is counted once, and listed once, in whatever form it is read.
fn check_stored(store: &mut Store, messages: &[Keyed], now: UnixMs, seed: u64) {
    let sent: u64 = messages.iter().map(|keyed| keyed.message.events.len() as u64).sum();
    let dropped: u64 = messages.iter().map(|keyed| keyed.message.dropped).sum();
    store.fold(now);
    assert_eq!(store.counted(), sent, "seed {seed}");
    let listed = store.listed();
    assert_eq!(listed.len() as u64, sent, "seed {seed}");
    assert!(listed.values().all(|times| *times == 1), "seed {seed}");
    let labelled =
        messages.iter().flat_map(|keyed| &keyed.message.events).filter(|event| event.label.is_some());
    let of_labels = store.labels().iter().flat_map(Labels::iter).map(|(_, sums)| sums.calls).sum::<u64>();
    assert_eq!(of_labels, labelled.count() as u64, "seed {seed}");
    store.fold(now + 9 * DAY_MS);
    for (dimension, granularity) in
        [("all", "day"), ("token", "day"), ("route-token", "week"), ("team-route", "hour")]
    {
        let calls = store.count(&format!(
            "SELECT sum(calls) FROM rollups WHERE dimension = '{dimension}' AND granularity = '{granularity}'"
        ));
        assert_eq!(calls, sent, "seed {seed}: {dimension} {granularity}");
    }
    assert_eq!(store.count("SELECT coalesce(sum(dropped), 0) FROM losses"), dropped, "seed {seed}");
}

#[test]
fn a_thousand_schedules_count_and_list_each_call_once() {
    (0..1_000).for_each(play);
}
