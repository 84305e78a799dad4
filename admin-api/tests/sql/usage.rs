//! The consumer's statements: each call counts once, and its sums are those of the model.

use super::{DAY_MS, HOUR_MS, migrated, model, query, sql_files};
use admin_api::intake::{chunks, chunks_of_past, decode, drop_late};
use domain::usage::outcome::Outcome;
use domain::usage::rollup::Rollup;
use domain::usage::{AiUsage, MAX_BYTES, UsageEvent, UsageMessage};
use proptest::prelude::*;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::fs;

/// Runs the consumer's batch as one transaction.
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

/// A rollup's dimension, granularity, key and start.
type Key = (String, String, String, i64);

/// Returns the keys of the rollups in which an event counts.
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

/// Computes the expected rollups: each event once, folded by the model.
fn folded(events: &[UsageEvent]) -> BTreeMap<Key, Rollup> {
    let mut seen = std::collections::HashSet::new();
    let mut rollups: BTreeMap<Key, Rollup> = BTreeMap::new();
    for event in events.iter().filter(|event| seen.insert(event.id.clone())) {
        for key in keys_of(event) {
            model::fold(rollups.entry(key).or_default(), event);
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
            // An id always stands for the same event: everything else follows from it.
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

/// Returns the events with each id once.
fn distinct(events: Vec<UsageEvent>) -> Vec<UsageEvent> {
    let mut seen = std::collections::HashSet::new();
    events.into_iter().filter(|event| seen.insert(event.id.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// An event counts once even if it is delivered twice, in any order and with any others.
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
        // In the end, every event has been delivered at least once.
        take_in(&mut db, &events);
        prop_assert_eq!(stored(&db), folded(&events));
        let rows: u32 = db.query_row("SELECT count(*) FROM usage_events", [], |row| row.get(0)).unwrap();
        prop_assert_eq!(rows as usize, events.len());
    }
}

#[test]
fn old_calls_count_in_no_rollup_that_retention_would_delete() {
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

/// Calls that were counted before the rollups got their current shape are still in them.
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

/// A small deterministic generator (`SplitMix64`, Steele et al. 2014), so that a failing schedule can
/// be run again from its seed.
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

/// A consumer with the remaining transactions of its batch.
struct Consumer {
    messages: Vec<usize>,
    left: Vec<Vec<UsageEvent>>,
}

/// Runs a thousand schedules of a queue that delivers at least once: messages come twice and in any order,
/// up to three consumers work at once with interleaved transactions, and
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
        // A producer that lost the response sends the message again, under another queue id.
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
                // Nothing was acknowledged: the whole batch comes again.
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

/// A repeat is recognised by its raw row. Retention deletes that row, so a later event is dropped.
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
    // The events are from the first three days: all are kept, then some and more are deleted, then all.
    for now in [3 * DAY_MS, KEPT_MS + DAY_MS, KEPT_MS + 2 * DAY_MS, KEPT_MS + 3 * DAY_MS] {
        db.execute(&query("events_purge"), params![now - KEPT_MS, 1_000]).unwrap();
        let mut message = decode(&text).unwrap();
        dropped.push(drop_late(&mut message, now - KEPT_MS));
        take_in(&mut db, &message.events);
        assert_eq!(stored(&db), folded(&events), "at {now}");
    }
    assert!(dropped[0] == 0 && 0 < dropped[1] && dropped[1] < dropped[2] && dropped[3] == 20, "{dropped:?}");
}

/// Sums stay within the range of a column for any counts that upstreams claim.
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
    // Every row could hold thousands of times as much.
    assert!(stored(&db).values().all(|rollup| rollup.bytes_out < 1 << 53));
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
