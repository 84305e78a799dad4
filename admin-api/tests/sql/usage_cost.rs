//! The rows that D1 bills for calls, and the bytes that they take.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "it measures small numbers, and --nocapture shows them"
)]

use super::HOUR_MS;
use super::usage_models;
use super::usage_sent::{START, Seeded, call, keyed};
use super::usage_store::Store;
use admin_api::intake::Keyed;
use domain::time::{MINUTE_MS, UnixMs};
use domain::usage::UsageEvent;
use domain::usage::outcome::Outcome;
use domain::usage::segment::{RawCall, encode};
use std::collections::BTreeMap;

/// A load, as the table of docs/cost.md has them.
struct Load {
    calls_s: u64,
    tokens: u64,
    routes: u64,
    isolates: u64,
    /// Buckets of five minutes that are measured, after a first one.
    buckets: i64,
    at_most: f64,
    /// Labels that each token's calls carry; 0 for calls without one.
    labels: u64,
    /// AI models that are called, of which each token calls two; 0 for calls of no AI.
    models: u64,
}

/// Rows written so far, and calls sent.
#[derive(Clone, Copy)]
struct Written {
    rows: u64,
    sent: u64,
}

/// Rows that D1 bills for a call: inserted, updated and deleted, the later deletes of retention included. No table that
/// grows with calls has an index.
fn rows_written(load: &Load) -> f64 {
    const FIRST_S: i64 = 360;
    let mut random = Seeded::new(load.calls_s);
    let mut store = Store::new();
    let mut noted: BTreeMap<String, UnixMs> = BTreeMap::new();
    let (mut sent, mut in_db, mut first) = (0, 0, Written { rows: 0, sent: 0 });
    let end_s = FIRST_S + load.buckets * 300;
    for second in (0..=end_s).step_by(3) {
        let now = START + second * 1_000;
        let batch = arrivals(load, &mut random, sent, now);
        for event in batch.iter().flat_map(|keyed| &keyed.message.events) {
            sent += 1;
            // A token's last use, and its secret's, is noted at most each five minutes.
            let at = noted.entry(event.token_id.to_string()).or_insert(i64::MIN / 2);
            if event.at >= *at + 300_000 {
                *at = event.at;
                in_db += 2;
            }
        }
        batch.chunks(100).for_each(|messages| store.take_in(messages, now));
        if second % 60 == 0 {
            // The heartbeat, the fold, and what the cron notes in DB.
            store.take_in(&[], now);
            store.fold(now);
            in_db += 1;
        }
        if second == FIRST_S {
            first = Written { rows: store.rows_and_deletes() + in_db, sent };
        }
    }
    let last = Written { rows: store.rows_and_deletes() + in_db, sent };
    // Hours are written once in an hour, however short this was, and deleted after 400 days.
    store.fold(START + end_s * 1_000 + HOUR_MS + 3 * MINUTE_MS);
    let hours = store.count("SELECT count(*) FROM rollups WHERE granularity = 'hour'") * 2;
    let hours = hours as f64 * load.buckets as f64 / 12.0;
    ((last.rows - first.rows) as f64 + hours) / (last.sent - first.sent) as f64
}

/// The messages of three seconds. An isolate sends after 500 ms, after two seconds or at 50 calls; the queue gives a
/// batch each three seconds.
fn arrivals(load: &Load, random: &mut Seeded, sent: u64, now: UnixMs) -> Vec<Keyed> {
    let per_isolate = load.calls_s as f64 / load.isolates as f64;
    let flush_ms = if per_isolate < 2.0 { 500.0 } else { 2_000.0 };
    let per_message = ((per_isolate * flush_ms / 1_000.0).ceil() as u64).clamp(1, 50);
    let (mut left, mut batch) = (load.calls_s * 3, Vec::new());
    while left > 0 {
        let number = sent + load.calls_s * 3 - left;
        let events: Vec<UsageEvent> = (0..per_message.min(left))
            .map(|i| {
                let token = random.below(load.tokens);
                // Each token calls five of the routes.
                let route = (token * 7 + random.below(5)) % load.routes;
                let event = call(&format!("{number}.{i}"), now + i64::try_from(i).unwrap(), token, route);
                let label = (load.labels > 0).then(|| format!("Workflow {}", random.below(load.labels)));
                let ai = (load.models > 0).then(|| usage_models::ai((token + random.below(2)) % load.models));
                UsageEvent { label: label.map(Into::into), ai, ..event }
            })
            .collect();
        left -= events.len() as u64;
        batch.push(keyed(number * 3, now, events));
    }
    batch
}

#[test]
fn a_call_writes_few_rows_at_a_trickle_and_at_load_deletes_included() {
    for load in loads() {
        let rows = rows_written(&load);
        println!("{} calls/s: {rows:.3} rows a call", load.calls_s);
        assert!(rows <= load.at_most, "{} calls/s: {rows}", load.calls_s);
    }
}

fn loads() -> [Load; 4] {
    let load = |calls_s, tokens, routes, isolates, buckets, at_most| Load {
        calls_s,
        tokens,
        routes,
        isolates,
        buckets,
        at_most,
        labels: 0,
        models: 0,
    };
    [
        load(1, 5, 5, 1, 10, 3.0),
        load(10, 30, 15, 3, 4, 0.6),
        load(100, 200, 40, 10, 1, 0.25),
        load(1_000, 1_000, 60, 30, 1, 0.15),
    ]
}

/// Each fold writes a row for each token that had labelled calls, whatever the number of labels.
#[test]
fn a_label_adds_at_most_a_row_a_token_and_minute() {
    for load in loads().into_iter().take(3) {
        let (plain, minute) = (rows_written(&load), load.calls_s as f64 * 60.0);
        let labelled = rows_written(&Load { labels: 20, ..load });
        let most = load.tokens as f64 / minute + 0.01;
        println!("{} calls/s: {:.3} rows more a call with a label", load.calls_s, labelled - plain);
        assert!(labelled - plain <= most, "{} calls/s: {labelled} after {plain}", load.calls_s);
    }
}

/// Sums by model are rows of two dimensions: for each model, and for each model of a team.
#[test]
fn an_ai_call_writes_at_most_two_fifths_more() {
    for load in loads().into_iter().take(3) {
        let (plain, calls_s) = (rows_written(&load), load.calls_s);
        let of_ai = rows_written(&Load { models: 5 + load.tokens / 20, ..load });
        println!("{calls_s} calls/s: {:.3} rows more an AI call, of {plain:.3}", of_ai - plain);
        assert!(of_ai > plain && of_ai <= plain * 1.4, "{calls_s} calls/s: {of_ai} after {plain}");
    }
}

#[test]
fn a_disabled_token_costs_little_and_is_counted_in_full() {
    let mut store = Store::new();
    let before = store.0.total_changes();
    let mut sent = 0;
    for (number, now) in (0..2_000_u64).zip((0..).map(|n| START + n * 1_000)) {
        let events: Vec<UsageEvent> = (0..50)
            .map(|i| UsageEvent {
                outcome: Outcome::DeniedDisabled,
                status: 403,
                ..call(&format!("{number}.{i}"), now + i, 1, 1)
            })
            .collect();
        sent += events.len() as u64;
        store.take_in(&[keyed(number * 3, now, events)], now);
        if number % 60 == 59 {
            store.fold(now);
        }
    }
    store.fold(START + HOUR_MS);
    assert_eq!((sent, store.counted()), (100_000, 100_000));
    assert!(store.listed().len() <= 100, "{}", store.listed().len());
    let rows = (store.0.total_changes() - before) as f64 / sent as f64;
    println!("{rows:.4} rows a refused call");
    // At a batch a second of one message; the queue gathers three seconds and more messages into one.
    assert!(rows < 0.08, "{rows}");
}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[test]
fn a_raw_call_takes_at_most_120_bytes() {
    let mut random = Seeded::new(7);
    let events: Vec<UsageEvent> = (0..5_000)
        .map(|i| {
            let mut id =
                |length| (0..length).map(|_| BASE62[random.usize_below(62)] as char).collect::<String>();
            let (call_id, request_id) = (id(22), id(22));
            let event = call(&call_id, START + i * 250, random.below(60), random.below(20));
            UsageEvent { request_id: request_id.into(), ..event }
        })
        .collect();
    let mut calls = RawCall::all_of(&events);
    domain::usage::segment::sort(&mut calls);
    let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut deflated, &encode(&calls).unwrap()).unwrap();
    let bytes = deflated.finish().unwrap().len() as f64 * 4.0 / 3.0 / calls.len() as f64;
    println!("{bytes:.0} bytes a raw call");
    assert!(bytes <= 120.0, "{bytes}");
}
