//! Bounds of the store of usage: sums, retention, segments.

use super::DAY_MS;
use super::usage_sent::{START, call, keyed};
use super::usage_store::{Store, usage_query};
use domain::usage::key::SLOT_MS;
use domain::usage::{MAX_BYTES, UsageEvent};
use rusqlite::params;

#[test]
fn a_repeated_message_counts_its_losses_once() {
    let store = Store::new();
    let losses = r#"[{"message":"m1","dropped":3,"unknown_tokens":2,"undecodable":0}]"#;
    for at in [1, 2] {
        store.0.execute(&usage_query("losses_add"), params![losses, at]).unwrap();
    }
    let sum: i64 = store.0.query_row("SELECT sum(dropped) FROM losses", [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 3);
}

/// Sums stay within the range of a column for any counts that upstreams claim.
#[test]
fn the_largest_counts_add_up() {
    let mut store = Store::new();
    let largest = |i: u64| {
        let mut event = UsageEvent { bytes_in: Some(u64::MAX), ..call(&i.to_string(), START, 1, 1) };
        event.cap_counts();
        event
    };
    store.take_in(&[keyed(3, START, (0..4_000).map(largest).collect())], START);
    store.fold(START + 30 * DAY_MS);
    let bytes: i64 = store
        .0
        .query_row(
            "SELECT bytes_in FROM rollups WHERE dimension = 'all' AND granularity = 'day'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(bytes.unsigned_abs(), 4_000 * MAX_BYTES);
}

/// After its key is forgotten a message would count again, so it is dropped and counted as such.
#[test]
fn a_repeat_after_retention_counts_nothing() {
    let mut store = Store::new();
    let message = [keyed(3, START, vec![call("a", START, 1, 1)])];
    store.take_in(&message, START);
    for days in [10, 29, 31, 40] {
        let now = START + days * DAY_MS;
        store
            .0
            .execute(&usage_query("taken_purge"), [(now - admin_api::intake::KEYS_KEPT_MS) / SLOT_MS])
            .unwrap();
        store.take_in(&message, now);
        assert_eq!(store.counted(), 1, "after {days} days");
    }
}

#[test]
fn a_full_segment_gets_no_more_calls() {
    let mut store = Store::new();
    for number in 0..12 {
        let at = START + i64::try_from(number).unwrap() * 1_000;
        let events = (0..4_500).map(|i| call(&format!("{number}.{i}"), at, 1, 1)).collect();
        store.take_in(&[keyed(number * 3, at, events)], at);
        store.fold(at);
    }
    let segments: i64 = store.0.query_row("SELECT count(*) FROM segments", [], |row| row.get(0)).unwrap();
    assert_eq!(segments, 12);
    assert_eq!(store.listed().len(), 54_000);
}

/// D1 takes values of up to 2 MB.
#[test]
fn the_keys_of_90000_messages_a_minute_fit_their_rows() {
    let mut store = Store::new();
    let messages: Vec<_> = (0..90_000_u64)
        .map(|number| keyed(number * 3 + 1, START + i64::try_from(number).unwrap() * 60_000 / 90_000, vec![]))
        .collect();
    messages.chunks(3_000).for_each(|batch| store.take_in(batch, START));
    let of = |what: &str| store.count(&format!("SELECT {what} FROM taken"));
    assert_eq!(of("sum(length(keys)) / 22"), 90_000);
    assert!(of("max(length(keys))") < 500_000, "{}", of("max(length(keys))"));
}

#[test]
fn errors_are_found_by_the_time_of_a_call_and_deleted_after_their_retention() {
    let db = Store::new().0;
    for batch in 0..10_i64 {
        let since = START + batch * 1_000;
        db.execute(
            &usage_query("errors_put"),
            params![batch, since, since + 1_500, format!("batch {batch}")],
        )
        .unwrap();
    }
    let find = |at: i64| -> Vec<String> {
        let mut statement = db.prepare(&usage_query("errors_find")).unwrap();
        let rows = statement.query_map(params![at, 50], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(find(START + 3_200), ["batch 2", "batch 3"], "batches overlap");
    assert!(find(START - 1).is_empty() && find(START + 60_000).is_empty());
    db.execute(&usage_query("errors_purge"), params![START + 5_000, 2]).unwrap();
    assert_eq!(
        (find(START + 200).len(), find(START + 3_200).len()),
        (0, 2),
        "the oldest first, some at once"
    );
    db.execute(&usage_query("errors_purge"), params![START + 5_000, 500]).unwrap();
    assert_eq!((find(START + 3_200).len(), find(START + 5_200).len()), (0, 2));
}
