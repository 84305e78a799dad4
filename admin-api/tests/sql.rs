//! Every SQL statement against the migrated schema: that it prepares, that the ones on hot paths use
//! their indexes, and that the consumer's statements add up as `domain::usage::rollup::Rollup` does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy does not see a whole file as a test"
)]

#[path = "sql/people.rs"]
mod people;
#[path = "sql/upkeep.rs"]
mod upkeep;

use admin_api::intake::{chunks, chunks_of_past, decode, drop_late};
use contract::audit::Deed;
use domain::usage::outcome::Outcome;
use domain::usage::rollup::Rollup;
use domain::usage::{AiUsage, MAX_BYTES, UsageEvent, UsageMessage};
use proptest::prelude::*;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn sql_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect();
    files.sort();
    files
}

fn query(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/db/queries").join(format!("{name}.sql"));
    fs::read_to_string(path).unwrap()
}

fn migrated() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.pragma_update(None, "foreign_keys", true).unwrap();
    for file in sql_files("../d1-migrations") {
        db.execute_batch(&fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
    db
}

#[test]
fn every_statement_prepares_against_the_schema() {
    let db = migrated();
    let files = sql_files("src/db/queries");
    assert!(files.len() > 50);
    for file in files {
        let sql = fs::read_to_string(&file).unwrap();
        if let Err(error) = db.prepare(&sql) {
            panic!("{}: {error}", file.display());
        }
    }
}

#[test]
fn statements_that_write_audit_entries_themselves_name_known_deeds() {
    let mut found = 0;
    for file in sql_files("src/db/queries") {
        let sql = fs::read_to_string(&file).unwrap();
        let Some((before, after)) = sql.split_once("'done'").filter(|_| sql.contains("INSERT INTO audit"))
        else {
            continue;
        };
        let (deed, entity) = (before.rsplit('\'').nth(1).unwrap(), after.split('\'').nth(1).unwrap());
        let known = Deed::parse(deed).unwrap_or_else(|| panic!("{}: {deed}", file.display()));
        assert_eq!(known.entity().as_str(), entity, "{}", file.display());
        found += 1;
    }
    assert_eq!(found, 3);
}

fn plan(db: &Connection, name: &str) -> String {
    let sql = query(name);
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
    rows.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[test]
fn lists_and_reports_search_an_index() {
    let db = migrated();
    for (name, wanted) in [
        ("tokens_list_newest", "SEARCH tokens USING INDEX tokens_by_created"),
        ("tokens_list_oldest", "SEARCH tokens USING INDEX tokens_by_created"),
        ("tokens_list_name", "SEARCH tokens USING INDEX tokens_by_name"),
        ("tokens_list_name_descending", "SEARCH tokens USING INDEX tokens_by_name"),
        ("routes_list", "SEARCH routes USING INDEX"),
        (
            "usage_series",
            "SEARCH r USING PRIMARY KEY (dimension=? AND granularity=? AND key=? AND bucket_start>?",
        ),
        (
            "usage_split",
            "SEARCH r USING PRIMARY KEY (dimension=? AND granularity=? AND key=? AND bucket_start>?",
        ),
        (
            "usage_tokens_list",
            "SEARCH r USING PRIMARY KEY (dimension=? AND granularity=? AND key=? AND bucket_start>?",
        ),
        (
            "usage_routes_list",
            "SEARCH r USING PRIMARY KEY (dimension=? AND granularity=? AND key=? AND bucket_start>?",
        ),
        ("usage_own_total", "SEARCH r USING PRIMARY KEY (dimension=? AND granularity=? AND key=?)"),
        ("rollups_purge", "USING COVERING INDEX usage_rollups_by_age (granularity=? AND bucket_start<?)"),
        ("events_by_time", "SEARCH usage_events USING INDEX usage_events_by_time"),
        ("events_by_token", "SEARCH usage_events USING INDEX usage_events_by_token"),
        ("events_by_route", "SEARCH usage_events USING INDEX usage_events_by_route"),
        ("events_by_team", "SEARCH usage_events USING INDEX usage_events_by_team"),
        ("usage_own_recent", "SEARCH usage_events USING INDEX usage_events_by_token"),
        ("outbox_claim", "SEARCH outbox USING COVERING INDEX outbox_due (priority=? AND next_attempt_at<?)"),
        ("outbox_take", "SEARCH outbox USING INDEX outbox_by_entity (kind=? AND entity_id=?)"),
        ("outbox_take_tokens", "SEARCH outbox USING INDEX outbox_by_entity (kind=? AND entity_id=?)"),
        ("outbox_of_team", "SEARCH t USING COVERING INDEX tokens_by_team (team_id=?)"),
        ("outbox_watch_due", "SEARCH outbox_watch USING PRIMARY KEY (due_at<?)"),
        ("outbox_watch_done", "SEARCH outbox_watch USING PRIMARY KEY (due_at=? AND kind=? AND entity_id=?)"),
        ("credentials_under_others", "SEARCH credentials USING INDEX credentials_by_seal (sealed_under<?)"),
        ("credentials_seals", "SEARCH credentials USING COVERING INDEX credentials_by_seal"),
        ("events_purge", "SEARCH usage_events USING COVERING INDEX usage_events_by_time"),
        ("secret_find", "SEARCH s USING PRIMARY KEY"),
    ] {
        let plan = plan(&db, name);
        assert!(plan.contains(wanted), "{name}:\n{plan}");
    }
}

#[test]
fn no_statement_scans_the_raw_events() {
    let db = migrated();
    for file in sql_files("src/db/queries") {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let plan = plan(&db, &name);
        for scan in ["SCAN usage_events", "SCAN seen", "SCAN e", "SCAN r", "SCAN usage_rollups"] {
            assert!(!plan.lines().any(|line| line == scan), "{name}:\n{plan}");
        }
    }
}

/// The consumer's batch, as one transaction.
fn take_in(db: &mut Connection, events: &[UsageEvent]) {
    take_chunks_in(db, &chunks(events).unwrap());
}

fn take_chunks_in(db: &mut Connection, chunks: &[String]) {
    for chunk in chunks {
        let transaction = db.transaction().unwrap();
        for name in ["usage_rollups_add", "usage_pairs_add", "tokens_last_used", "usage_events_add"] {
            transaction.execute(&query(name), params![chunk]).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        transaction.commit().unwrap();
    }
}

/// Dimension, granularity, key, start.
type Key = (String, String, String, i64);

/// The rollups that an event counts in.
fn keys_of(event: &UsageEvent) -> Vec<Key> {
    let (team, token) = (event.team.as_str(), event.token_id.as_str());
    let route = event.route_id.as_ref().map_or("", |id| id.as_str());
    let pair = format!("{token} {route}");
    let dimensions = [("all", ""), ("team", team), ("token", token), ("route", route), ("pair", &pair)];
    let widths = [("5m", 300_000), ("hour", HOUR_MS), ("day", DAY_MS), ("week", 7 * DAY_MS)];
    let mut keys = vec![];
    for (dimension, key) in dimensions {
        for (granularity, width_ms) in widths {
            keys.push((dimension.into(), granularity.into(), key.to_owned(), event.at - event.at % width_ms));
        }
    }
    keys
}

/// The rollups as they must be: each event once, folded by `domain`.
fn folded(events: &[UsageEvent]) -> BTreeMap<Key, Rollup> {
    let mut seen = std::collections::HashSet::new();
    let mut rollups: BTreeMap<Key, Rollup> = BTreeMap::new();
    for event in events.iter().filter(|event| seen.insert(event.id.clone())) {
        for key in keys_of(event) {
            rollups.entry(key).or_default().fold(event);
        }
    }
    rollups
}

fn stored(db: &Connection) -> BTreeMap<Key, Rollup> {
    let mut statement = db.prepare("SELECT * FROM usage_rollups").unwrap();
    let rows = statement.query_map([], |row| {
        let n = |name: &str| row.get::<_, i64>(name).map(i64::unsigned_abs);
        let key: Key =
            (row.get("dimension")?, row.get("granularity")?, row.get("key")?, row.get("bucket_start")?);
        let histogram: String = row.get("histogram")?;
        let rollup = Rollup {
            calls: n("calls")?,
            ok: n("ok")?,
            client_errors: n("client_errors")?,
            upstream_errors: n("upstream_errors")?,
            timeouts: n("timeouts")?,
            gateway_errors: n("gateway_errors")?,
            denied: n("denied")?,
            limited: n("limited")?,
            latency_sum_ms: n("latency_sum_ms")?,
            gateway_sum_ms: n("gateway_sum_ms")?,
            bytes_in: n("bytes_in")?,
            bytes_out: n("bytes_out")?,
            prompt_tokens: n("prompt_tokens")?,
            completion_tokens: n("completion_tokens")?,
            cached_tokens: n("cached_tokens")?,
            cost_micros: n("cost_micros")?,
            latency: serde_json::from_str(&histogram).unwrap(),
        };
        Ok((key, rollup))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

prop_compose! {
    fn any_event()(
        id in 0_u32..40, at in 0_i64..3 * DAY_MS, token in 0_u8..3, route in proptest::option::of(0_u8..2),
        outcome in 0_usize..Outcome::ALL.len(), latency_ms in 0_u32..200_000, gateway_ms in 0_u32..50,
        bytes_in in proptest::option::of(0_u64..1_000_000), model in proptest::option::of(0_u64..5_000),
    ) -> UsageEvent {
        UsageEvent {
            // What an id stands for never changes: everything else follows from it.
            id: format!("e{id}"), at, token_id: format!("tok_{token}").as_str().into(),
            team: format!("team-{}", token % 2).as_str().into(),
            route_id: route.map(|r| format!("rte_{r}").as_str().into()), route_path: None,
            path: "/api/x".into(), method: "GET".into(), status: 200, outcome: Outcome::ALL[outcome],
            latency_ms, gateway_ms, bytes_in, bytes_out: bytes_in.map(|n| n * 2), client_ip: None,
            duration_ms: None,
            secret: None,
            user_agent: Some("it's \"quoted\"".into()), country: None, request_id: "req_1".into(),
            ai: model.map(|n| AiUsage {
                model: Some("m".into()), prompt_tokens: Some(n), completion_tokens: None,
                cached_tokens: Some(1), cache_write_tokens: None,
                reasoning_tokens: None,
                cost_micros: Some(n * 3),
            }),
        }
    }
}

/// Events with each id once.
fn distinct(events: Vec<UsageEvent>) -> Vec<UsageEvent> {
    let mut seen = std::collections::HashSet::new();
    events.into_iter().filter(|event| seen.insert(event.id.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is delivered twice, in whatever order and company, counts once.
    #[test]
    fn delivery_at_least_once_counts_exactly_once(
        events in proptest::collection::vec(any_event(), 1..60).prop_map(distinct),
        deliveries in proptest::collection::vec(proptest::collection::vec(0_usize..60, 0..30), 0..6),
    ) {
        let mut db = migrated();
        for delivery in &deliveries {
            let batch: Vec<_> = delivery.iter().filter_map(|i| events.get(*i).cloned()).collect();
            take_in(&mut db, &batch);
        }
        // At last everything has come at least once.
        take_in(&mut db, &events);
        prop_assert_eq!(stored(&db), folded(&events));
        let rows: u32 = db.query_row("SELECT count(*) FROM usage_events", [], |row| row.get(0)).unwrap();
        prop_assert_eq!(rows as usize, events.len());
    }
}

#[test]
fn calls_of_long_ago_count_in_no_rollup_that_retention_deletes_at_once() {
    let now = 1_000 * DAY_MS;
    let mut db = migrated();
    let event = |id: &str, age: i64| {
        UsageEvent {
        id: id.to_owned(),
        at: now - age,
        ..decode(r#"{"v":1,"events":[{"id":"e","at":1,"token_id":"t","team":"core-team","path":"/x","method":"GET","status":200,"outcome":"ok","latency_ms":1,"gateway_ms":0,"request_id":"r"}]}"#).unwrap().events.remove(0)
    }
    };
    let events = [event("today", HOUR_MS), event("last week", 7 * DAY_MS), event("years ago", 900 * DAY_MS)];
    take_chunks_in(&mut db, &chunks_of_past(&events, now).unwrap());
    let mut counted = db
        .prepare(
            "SELECT granularity, sum(calls) FROM usage_rollups WHERE dimension = 'all' GROUP BY 1 ORDER BY 1",
        )
        .unwrap();
    let rows: Vec<(String, i64)> =
        counted.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let wanted = [("5m", 1), ("day", 3), ("hour", 2), ("week", 3)];
    assert_eq!(rows, wanted.map(|(granularity, calls)| (granularity.to_owned(), calls)));
}

#[test]
fn the_first_token_of_the_earlier_form_has_the_table_published_again() {
    let db = migrated();
    let import = |hash: &str| {
        let version = || {
            db.query_row(
                "SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'routes-version'",
                [],
                |row| row.get::<_, i64>(0),
            )
            .unwrap()
        };
        let before = version();
        db.execute(&query("routes_version_bump_first_legacy"), params![1]).unwrap();
        db.execute(&query("outbox_insert_routes_if_changed"), params![format!("obx_{hash}"), 1]).unwrap();
        let tokens = serde_json::json!([{"id": format!("tok_{hash}"), "hash": hash.repeat(64), "name": "n", "team": "core-team", "scopes": ["*"]}]).to_string();
        db.execute(&query("import_tokens"), params![tokens, 1, "a"]).unwrap();
        db.execute(&query("import_secrets"), params![tokens, 1]).unwrap();
        let told: i64 =
            db.query_row("SELECT count(*) FROM outbox WHERE kind = 'routes'", [], |row| row.get(0)).unwrap();
        (version() - before, told)
    };
    assert_eq!(import("a"), (1, 1));
    assert_eq!(import("b"), (0, 1), "the table says so already");
    db.execute("UPDATE tokens SET revoked_at = 1", []).unwrap();
    assert_eq!(import("c"), (1, 2), "it had ceased to say so");
    let legacy: i64 = db.query_row(&query("routes_version"), params![2], |row| row.get(1)).unwrap();
    assert_eq!(legacy, 1);
}

fn with_token(db: &Connection) {
    db.execute(
        &query("token_insert"),
        params![
            "tok_1",
            "n",
            "core-team",
            None::<&str>,
            r#"["*"]"#,
            "[]",
            None::<&str>,
            0,
            None::<i64>,
            "u",
            1
        ],
    )
    .unwrap();
}

#[test]
fn the_loser_of_two_writers_leaves_no_trace() {
    let mut db = migrated();
    with_token(&db);
    for (name, request) in [("first", "r1"), ("second", "r2")] {
        let batch = db.transaction().unwrap();
        batch
            .execute(
                &query("token_update"),
                params!["tok_1", name, None::<&str>, r#"["*"]"#, "[]", None::<&str>, 0, None::<i64>, 5, 1],
            )
            .unwrap();
        batch.execute(&query("outbox_insert"), params![request, "token", "tok_1", 5, 5]).unwrap();
        batch
            .execute(
                &query("audit_insert_if_changed"),
                params![
                    request,
                    5,
                    "u",
                    "a",
                    "done",
                    "token",
                    "tok_1",
                    None::<&str>,
                    None::<&str>,
                    None::<&str>,
                    None::<&str>,
                    request
                ],
            )
            .unwrap();
        batch.commit().unwrap();
    }
    let name: String = db.query_row("SELECT name FROM tokens", [], |row| row.get(0)).unwrap();
    let rows = |table: &str| -> u32 {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((name.as_str(), rows("outbox"), rows("audit")), ("first", 1, 1));
}

/// Calls counted before the rollups got their current shape are in them.
#[test]
fn the_migration_of_the_rollups_loses_nothing() {
    let db = Connection::open_in_memory().unwrap();
    let files = sql_files("../d1-migrations");
    let (before, after): (Vec<_>, Vec<_>) =
        files.iter().partition(|f| f.file_name().unwrap().to_str().unwrap() < "0011");
    for file in before {
        db.execute_batch(&fs::read_to_string(file).unwrap()).unwrap();
    }
    let rows = [
        (0_i64, "tok_a", "rte_x", "ops", 3),
        (DAY_MS, "tok_a", "", "ops", 2),
        (DAY_MS, "tok_b", "rte_x", "web", 5),
    ];
    for (at, token, route, team, calls) in rows {
        for table in ["usage_daily", "usage_hourly"] {
            db.execute(
                &format!("INSERT INTO {table} VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, 0, 0, 0, 0, 0, 70, 1, 0, 9, 0, 0, 0, 0)"),
                params![at, token, route, team, calls],
            )
            .unwrap();
        }
        for granularity in ["day", "hour"] {
            for bin in [4, 9] {
                db.execute(
                    "INSERT INTO usage_latency VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![granularity, at, token, route, team, bin, calls],
                )
                .unwrap();
            }
        }
    }
    for file in after {
        db.execute_batch(&fs::read_to_string(file).unwrap()).unwrap();
    }
    let stored = stored(&db);
    let get = |dimension: &str, granularity: &str, key: &str, at: i64| {
        let rollup = &stored[&(dimension.into(), granularity.into(), key.into(), at)];
        (rollup.calls, rollup.bytes_out, rollup.latency.iter().collect::<Vec<_>>())
    };
    assert_eq!(get("all", "week", "", 0), (10, 27, vec![(4, 10), (9, 10)]));
    assert_eq!(get("all", "day", "", DAY_MS), (7, 18, vec![(4, 7), (9, 7)]));
    assert_eq!(get("team", "hour", "ops", DAY_MS), (2, 9, vec![(4, 2), (9, 2)]));
    assert_eq!(get("pair", "day", "tok_a ", DAY_MS), (2, 9, vec![(4, 2), (9, 2)]));
    assert_eq!(get("route", "week", "rte_x", 0), (8, 18, vec![(4, 8), (9, 8)]));
    let pairs: u32 = db.query_row("SELECT count(*) FROM usage_pairs", [], |row| row.get(0)).unwrap();
    assert_eq!(pairs, 3);
}

/// A small deterministic generator (`SplitMix64`, Steele et al. 2014), so that a schedule that fails can
/// be run again by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

fn rolled_event(dice: &mut Dice, id: usize) -> UsageEvent {
    let token = dice.roll(4);
    UsageEvent {
        id: format!("e{id}"),
        at: i64::try_from(dice.roll(3 * 86_400_000)).unwrap(),
        token_id: format!("tok_{token}").as_str().into(),
        team: format!("team-{}", token % 2).as_str().into(),
        route_id: (dice.roll(3) > 0).then(|| format!("rte_{}", token % 3).as_str().into()),
        route_path: None,
        path: "/api/x".into(),
        method: "GET".into(),
        status: 200,
        outcome: Outcome::ALL[dice.roll(Outcome::ALL.len())],
        latency_ms: u32::try_from(dice.roll(5_000)).unwrap(),
        gateway_ms: 1,
        duration_ms: None,
        secret: None,
        bytes_in: None,
        bytes_out: Some(dice.roll(9_999) as u64),
        client_ip: None,
        user_agent: None,
        country: None,
        request_id: "req_1".into(),
        ai: None,
    }
}

/// A consumer with the transactions that its batch still has before it.
struct Consumer {
    messages: Vec<usize>,
    left: Vec<Vec<UsageEvent>>,
}

/// A thousand schedules of a queue that delivers at least once: messages come twice and in any order,
/// up to three consumers work at once, each transaction of theirs in between those of the others, and
/// any of them may die between two transactions, or after the last and before its acknowledgement.
#[test]
fn a_thousand_schedules_count_exactly_what_was_sent() {
    let mut db = migrated();
    for seed in 0..1_000 {
        let mut dice = Dice(seed);
        let messages: Vec<Vec<UsageEvent>> = {
            let mut id = 0;
            let count = 1 + dice.roll(6);
            let mut message = |dice: &mut Dice| {
                let events = 1 + dice.roll(5);
                (0..events)
                    .map(|_| {
                        id += 1;
                        rolled_event(dice, id)
                    })
                    .collect()
            };
            (0..count).map(|_| message(&mut dice)).collect()
        };
        // A producer that lost the answer sends the message again, under another queue id.
        let mut queue: Vec<usize> = (0..messages.len()).collect();
        for message in 0..messages.len() {
            if dice.roll(3) == 0 {
                queue.push(message);
            }
        }
        let mut consumers: Vec<Consumer> = vec![];
        let mut crashes = 0;
        while !queue.is_empty() || !consumers.is_empty() {
            if !queue.is_empty() && consumers.len() < 3 && (consumers.is_empty() || dice.roll(2) == 0) {
                let take = 1 + dice.roll(queue.len());
                let taken: Vec<usize> =
                    (0..take).map(|_| queue.swap_remove(dice.roll(queue.len()))).collect();
                let events: Vec<UsageEvent> = taken.iter().flat_map(|m| messages[*m].clone()).collect();
                let size = 1 + dice.roll(4);
                consumers.push(Consumer {
                    messages: taken,
                    left: events.chunks(size).map(<[_]>::to_vec).collect(),
                });
                continue;
            }
            let index = dice.roll(consumers.len());
            if crashes < 20 && dice.roll(6) == 0 {
                // Nothing was acknowledged: all of it comes again.
                crashes += 1;
                queue.extend(consumers.swap_remove(index).messages);
            } else if let Some(chunk) = consumers[index].left.pop() {
                take_in(&mut db, &chunk);
            } else {
                consumers.swap_remove(index);
            }
        }
        let sent: Vec<UsageEvent> = messages.concat();
        assert_eq!(stored(&db), folded(&sent), "seed {seed}");
        db.execute_batch("DELETE FROM usage_rollups; DELETE FROM usage_events; DELETE FROM usage_pairs;")
            .unwrap();
    }
}

/// A repeat is known by its raw row. Retention takes that away, so what comes after it is dropped.
#[test]
fn a_repeat_after_retention_counts_nothing() {
    const KEPT_MS: i64 = 15 * DAY_MS;
    let mut db = migrated();
    let mut dice = Dice(7);
    let events: Vec<UsageEvent> = (0..20).map(|id| rolled_event(&mut dice, id)).collect();
    let text =
        serde_json::to_string(&UsageMessage { v: 1, events: events.clone(), dropped: 0, unknown_tokens: 0 });
    let text = text.unwrap();
    let mut dropped = vec![];
    // The events lie in the first three days. As they are kept, as half of them are gone, and as all are.
    for now in [3 * DAY_MS, KEPT_MS + DAY_MS, KEPT_MS + 2 * DAY_MS, KEPT_MS + 3 * DAY_MS] {
        db.execute(&query("events_purge"), params![now - KEPT_MS, 1_000]).unwrap();
        let mut message = decode(&text).unwrap();
        dropped.push(drop_late(&mut message, now - KEPT_MS));
        take_in(&mut db, &message.events);
        assert_eq!(stored(&db), folded(&events), "at {now}");
    }
    assert!(dropped[0] == 0 && 0 < dropped[1] && dropped[1] < dropped[2] && dropped[3] == 20, "{dropped:?}");
}

/// Whatever upstreams claim, the sums stay within what a column holds.
#[test]
fn the_largest_counts_add_up() {
    let mut db = migrated();
    let mut dice = Dice(8);
    let events = (0..4_000).map(|id| UsageEvent {
        at: 1,
        bytes_in: Some(u64::MAX),
        bytes_out: Some(u64::MAX),
        ai: Some(AiUsage {
            prompt_tokens: Some(u64::MAX),
            cost_micros: Some(u64::MAX),
            ..AiUsage::default()
        }),
        ..rolled_event(&mut dice, id)
    });
    let message = UsageMessage { v: 1, events: events.collect(), dropped: 0, unknown_tokens: 0 };
    let message = decode(&serde_json::to_string(&message).unwrap()).unwrap();
    take_in(&mut db, &message.events);
    let all = ("all".to_owned(), "day".to_owned(), String::new(), 0);
    assert_eq!(stored(&db)[&all].bytes_in, 4_000 * MAX_BYTES);
    // Every row could take thousands of times as much.
    assert!(stored(&db).values().all(|rollup| rollup.bytes_out < 1 << 53));
}

#[test]
fn a_second_rotation_does_not_lengthen_the_first_ones_grace() {
    let db = migrated();
    with_token(&db);
    let hash = |c: &str| c.repeat(64);
    let rotate = |c: &str, at: i64, others_end: i64| {
        db.execute(&query("token_touch"), params!["tok_1", at, None::<i64>]).unwrap();
        db.execute(&query("secret_insert"), params![hash(c), "tok_1", "s", "e", at]).unwrap();
        db.execute(&query("secrets_end"), params!["tok_1", others_end, hash(c)]).unwrap();
    };
    rotate("a", 1, 50);
    rotate("b", 2, 100);
    rotate("c", 3, 500);
    let end = |c: &str| -> i64 {
        db.query_row("SELECT ends_at FROM token_secrets WHERE hash = ?1", [hash(c)], |row| row.get(0))
            .unwrap()
    };
    assert_eq!((end("a"), end("b")), (100, 500));
}

/// A rotation that loses against a revocation leaves nothing behind: no secret, no end, no answer.
#[test]
fn a_rotation_of_a_revoked_token_changes_nothing() {
    let db = migrated();
    with_token(&db);
    db.execute(&query("token_revoke"), params!["tok_1", 5, None::<i64>]).unwrap();
    let hash = "d".repeat(64);
    db.execute(&query("token_touch"), params!["tok_1", 6, None::<i64>]).unwrap();
    db.execute(&query("secret_insert"), params![hash, "tok_1", "s", "e", 6]).unwrap();
    db.execute(&query("secrets_end"), params!["tok_1", 7, hash]).unwrap();
    db.execute(&query("idempotency_insert"), params!["u", "e", "k", "d", "tok_1", 6, hash]).unwrap();
    for table in ["token_secrets", "idempotency_keys"] {
        let rows: u32 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn what_must_hold_of_teams_holds_whatever_the_code_does() {
    let db = migrated();
    let refused = |sql: &str, why: &str| {
        let error = db.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
    };
    db.execute_batch(
        "INSERT INTO teams (id, name, created_at, updated_at) VALUES ('a', 'A', 1, 1), ('b', 'B', 1, 1);
         INSERT INTO users (id, created_at, updated_at) VALUES ('u', 1, 1), ('v', 1, 1);
         INSERT INTO memberships VALUES ('u', 'a', 'ADMIN', 1);",
    )
    .unwrap();
    refused("DELETE FROM memberships WHERE user_id = 'u'", "last-admin");
    refused("UPDATE memberships SET role = 'VIEWER' WHERE user_id = 'u'", "last-admin");
    refused("DELETE FROM teams WHERE id = 'b'", "teams-are-kept");
    refused("UPDATE teams SET deleted_at = 1 WHERE id = 'core-team'", "team-not-empty");
    refused("UPDATE teams SET deleted_at = 1 WHERE id = 'a'", "team-not-empty");
    db.execute_batch("UPDATE teams SET deleted_at = 1 WHERE id = 'b'").unwrap();
    refused("INSERT INTO memberships VALUES ('u', 'b', 'VIEWER', 1)", "team-deleted");
    refused(
        "INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) VALUES ('t', 't', 'b', '[]', 1, 1)",
        "team-deleted",
    );
    // A person who is gone holds no place.
    db.execute_batch(
        "UPDATE users SET deleted_at = 1 WHERE id = 'u'; DELETE FROM memberships WHERE user_id = 'u';",
    )
    .unwrap();
    // Nor do they count as the other ADMIN.
    db.execute_batch(
        "INSERT INTO memberships VALUES ('v', 'a', 'ADMIN', 1);
         INSERT INTO memberships VALUES ('u', 'a', 'ADMIN', 1);",
    )
    .unwrap();
    refused("DELETE FROM memberships WHERE user_id = 'v'", "last-admin");
}

#[test]
fn a_repeated_message_counts_its_losses_once() {
    let db = migrated();
    let losses = r#"[{"message_id":"m1","dropped":3,"unknown_tokens":2,"undecodable":0}]"#;
    for at in [1, 2] {
        db.execute(&query("usage_losses_add"), params![losses, at]).unwrap();
    }
    let sum: i64 = db.query_row("SELECT sum(dropped) FROM usage_losses", [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 3);
}

#[test]
fn the_route_tables_version_only_grows_with_a_change() {
    let db = migrated();
    let version =
        || -> i64 { db.query_row(&query("routes_version"), params![1], |row| row.get("version")).unwrap() };
    db.execute(
        &query("route_insert"),
        params![
            "rte_1",
            "n",
            "/api/x",
            "https://x.example/",
            None::<&str>,
            "[]",
            "[]",
            1,
            None::<i64>,
            "[]",
            0,
            "{}",
            "u",
            1,
            None::<&str>,
            0
        ],
    )
    .unwrap();
    db.execute(&query("routes_version_bump"), params![2]).unwrap();
    assert_eq!(version(), 1);
    db.execute(&query("route_delete"), params!["rte_none", None::<i64>]).unwrap();
    db.execute(&query("routes_version_bump"), params![3]).unwrap();
    assert_eq!(version(), 1);
}

/// Puts tokens of every kind into the database, and returns it.
fn with_tokens() -> Connection {
    let db = migrated();
    db.execute_batch(
        "INSERT INTO teams (id, name, description, color, icon, created_at, updated_at)
         VALUES ('ops', 'ops', '', '#000000', 'x', 0, 0);
         INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at, version, revoked_at, disabled_at, last_used_at)
         VALUES ('new', 'n', 'ops', '[]', 0, 0, 1, NULL, NULL, NULL),
                ('edited', 'n', 'ops', '[]', 0, 0, 2, NULL, NULL, 5),
                ('busy', 'n', 'ops', '[]', 0, 0, 1, NULL, NULL, 99),
                ('disabled', 'n', 'ops', '[]', 0, 0, 1, NULL, 7, NULL),
                ('revoked', 'n', 'ops', '[]', 0, 0, 2, 8, NULL, NULL);",
    )
    .unwrap();
    db
}

/// Claims rows one at a time; whose they are, in that order.
fn claimed(db: &Connection, now: i64) -> Vec<String> {
    let mut order = Vec::new();
    let mut claim = db.prepare(&query("outbox_claim")).unwrap();
    loop {
        let row = claim
            .query_map(params![now, i64::MAX, 1], |row| row.get::<_, String>("entity_id"))
            .unwrap()
            .next();
        let Some(row) = row else { return order };
        order.push(row.unwrap());
    }
}

#[test]
fn a_revocation_goes_before_a_cap_cut_and_both_before_a_republication_whose_busiest_come_first() {
    let db = with_tokens();
    let republish = fs::read_to_string("../scripts/ops/derived/republish.sql").unwrap();
    db.execute_batch(&republish).unwrap();
    let far = i64::MAX - 1;
    let insert = |id: &str, kind: &str, entity: &str, at: i64| {
        // `changes()` is that of the statement before.
        db.execute("UPDATE teams SET name = 'ops'", []).unwrap();
        db.execute(&query("outbox_insert"), params![id, kind, entity, at, at]).unwrap();
    };
    db.execute("UPDATE teams SET name = 'ops'", []).unwrap();
    db.execute(&query("outbox_insert_team"), params!["ops", 10, 10]).unwrap();
    insert("r1", "token", "new", 20);
    insert("r2", "token", "revoked", 30);
    insert("r3", "token", "disabled", 31);
    insert("r4", "token", "edited", 32);
    let order = claimed(&db, far);
    // The republished route table and prices, due from the beginning of time; then what may take something away.
    assert_eq!(order[..5], ["", "", "revoked", "disabled", "edited"]);
    let mut team = order[5..9].to_vec();
    team.sort();
    assert_eq!(team, ["busy", "disabled", "edited", "new"]);
    assert_eq!(order[9], "new");
    assert_eq!(order[10..12], ["busy", "edited"]);
    assert_eq!(order.len(), 14);
}

#[test]
fn what_was_published_is_watched_but_for_a_republication() {
    let db = with_tokens();
    db.execute(&query("outbox_insert_tokens"), params![r#"["new","revoked","gone"]"#, 5, 5]).unwrap();
    db.execute_batch(&fs::read_to_string("../scripts/ops/derived/republish.sql").unwrap()).unwrap();
    let ids: String = db.query_row("SELECT json_group_array(id) FROM outbox", [], |row| row.get(0)).unwrap();
    db.execute(&query("outbox_watch_add"), params![ids, 77]).unwrap();
    db.execute(&query("outbox_done"), params![ids]).unwrap();
    let count = |table: &str| -> u32 {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("outbox"), count("outbox_watch")), (0, 4));
    let done =
        r#"[{"due_at":77,"kind":"token","entity_id":"new"},{"due_at":78,"kind":"token","entity_id":"gone"}]"#;
    db.execute(&query("outbox_watch_done"), params![done]).unwrap();
    assert_eq!(count("outbox_watch"), 3);
}

#[test]
fn all_failures_of_a_run_are_one_statement() {
    let db = with_tokens();
    db.execute(&query("outbox_insert_tokens"), params![r#"["new","busy"]"#, 5, 5]).unwrap();
    let failed: String = db
        .query_row(
            "SELECT json_group_array(json_object('id', id, 'retry_at', 60 + length(entity_id), 'error', 'KV: ' || entity_id)) FROM outbox",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(db.execute(&query("outbox_fail"), params![failed]).unwrap(), 2);
    let row = |entity: &str| -> (i64, i64, String) {
        db.query_row(
            "SELECT attempts, next_attempt_at, last_error FROM outbox WHERE entity_id = ?1",
            params![entity],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap()
    };
    assert_eq!(row("new"), (1, 63, "KV: new".into()));
    assert_eq!(row("busy"), (1, 64, "KV: busy".into()));
}

#[test]
fn one_run_holds_the_lease_until_it_gives_it_back_or_dies() {
    let db = migrated();
    let take = |holder: &str, now: i64| {
        db.execute(&query("lease_take"), params!["l", holder, now, now - 100]).unwrap()
    };
    assert_eq!((take("1", 1_000), take("2", 1_050)), (1, 0));
    assert_eq!(db.execute(&query("lease_give_back"), params!["l", "2"]).unwrap(), 0, "it is another's");
    assert_eq!(db.execute(&query("lease_give_back"), params!["l", "1"]).unwrap(), 1);
    assert_eq!((take("2", 1_060), take("3", 1_160), take("3", 1_161)), (1, 0, 1));
}

#[test]
fn a_credential_that_no_key_opens_is_in_nobodys_way() {
    let db = migrated();
    db.execute_batch(
        "INSERT INTO routes (id, name, path, backend_url, created_at, updated_at)
         SELECT value, 'r', '/api/' || value, 'https://x.example', 0, 0 FROM json_each('[\"a\",\"b\",\"c\",\"d\",\"e\"]');
         INSERT INTO credentials (route_id, kind, origin, sealed, sealed_under, updated_by, updated_at)
         SELECT value ->> 0, 'bearer', 'https://x.example', 'v1.s.s', value ->> 1, 'u', 0
         FROM json_each('[[\"a\",\"!fp\"],[\"b\",\"fp\"],[\"c\",\"\"],[\"d\",\"aa\"],[\"e\",\"!zz\"]]');",
    )
    .unwrap();
    let left = |limit: u32| -> Vec<String> {
        let mut statement = db.prepare(&query("credentials_under_others")).unwrap();
        let rows = statement.query_map(params!["fp", limit], |row| row.get("route_id")).unwrap();
        let mut ids: Vec<String> = rows.map(Result::unwrap).collect();
        ids.sort();
        ids
    };
    assert_eq!(left(10), ["c", "d", "e"]);
    let count = || -> (u32, u32) {
        db.query_row(&query("credentials_seals"), params!["fp"], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    assert_eq!(count(), (3, 1));
    let lost = r#"[{"route_id":"c","was":"v1.s.s"},{"route_id":"d","was":"another"}]"#;
    assert_eq!(
        db.execute(&query("credentials_lost"), params![lost, "fp"]).unwrap(),
        1,
        "one was set meanwhile"
    );
    assert_eq!((left(10), count()), (vec!["d".to_owned(), "e".to_owned()], (2, 2)));
}
