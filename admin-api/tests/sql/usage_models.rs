//! Sums by model: what they cost, how many there are, and how versions that do not know them leave them.

use super::usage_sent::{START, call, keyed};
use super::usage_store::Store;
use super::{DAY_MS, HOUR_MS};
use domain::time::{MINUTE_MS, UnixMs};
use domain::usage::model::MAX_MODELS;
use domain::usage::{AiUsage, UsageEvent};
use rusqlite::params;

/// The usage of a call of the n-th model.
pub fn ai(n: u64) -> AiUsage {
    AiUsage {
        model: Some(format!("model-{n}").into()),
        prompt_tokens: Some(20),
        completion_tokens: Some(7),
        cost_micros: Some(90),
        ..AiUsage::default()
    }
}

fn send(store: &mut Store, number: u64, at: UnixMs, models: &[u64]) {
    let events = models
        .iter()
        .enumerate()
        .map(|(i, model)| UsageEvent { ai: Some(ai(*model)), ..call(&format!("{number}.{i}"), at, 1, 1) });
    let events: Vec<UsageEvent> = events.collect();
    store.take_in(&[keyed(number * 3, at, events)], at);
}

#[test]
fn a_client_that_makes_up_models_gets_rows_of_fifty_a_day() {
    let mut store = Store::new();
    for minute in 0_u64..120 {
        let now = START + i64::try_from(minute).unwrap() * MINUTE_MS;
        send(&mut store, minute, now, &(0..40).map(|n| minute * 40 + n).collect::<Vec<_>>());
        store.fold(now);
    }
    store.fold(START + 9 * DAY_MS);
    for granularity in ["hour", "day", "week"] {
        assert_eq!(store.calls_of("team-model", granularity), 120 * 40, "{granularity}");
        let most = if granularity == "hour" { 2 } else { 1 } * (MAX_MODELS as u64 + 1);
        for dimension in ["model", "team-model"] {
            let rows = store.count(&format!(
                "SELECT count(*) FROM rollups WHERE dimension = '{dimension}' AND granularity = '{granularity}'"
            ));
            assert!(rows <= most && rows > 0, "{rows} of {dimension} {granularity}");
        }
    }
}

/// The consumer and the fold of an older version run beside this one for a while, and again after a rollback.
#[test]
fn an_older_version_leaves_sums_by_model_as_they_are() {
    let mut store = Store::new();
    send(&mut store, 1, START, &[1, 1, 2]);
    store.fold(START + MINUTE_MS);
    // The older version stores a batch, and folds what has arrived.
    let add = "INSERT INTO inbox (id, at, lag_ms, since, until, sums, calls, head, labels)
        VALUES (?1, ?2, 0, NULL, NULL, '{\"ids\":[],\"buckets\":[]}', '', '', '')";
    store.0.execute(add, params![2, START + MINUTE_MS]).unwrap();
    store.fold_as_older(START + 2 * MINUTE_MS);
    send(&mut store, 3, START + 2 * MINUTE_MS, &[2]);
    store.fold_as_older(START + HOUR_MS + 5 * MINUTE_MS);
    assert_eq!(store.calls_of("all", "hour"), 4, "it closed its hour");
    assert_eq!(store.calls_of("model", "5m"), 0);
    store.0.execute(add, params![4, START + HOUR_MS]).unwrap();
    store.fold(START + 9 * DAY_MS);
    assert_eq!(store.calls_of("all", "week"), 4);
    for dimension in ["model", "team-model"] {
        assert_eq!(
            store.calls_of(dimension, "hour"),
            3,
            "without what the older version folded: {dimension}"
        );
        assert_eq!(store.calls_of(dimension, "week"), 3, "{dimension}");
    }
    assert_eq!(store.count("SELECT count(*) FROM open_models"), 0);
}
