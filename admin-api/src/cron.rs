//! Each minute: the outbox again, and what is past its time deleted.
//!
//! Everything here is bounded, so that a run ends long before the next begins; what is left over
//! waits a minute.

use crate::config::Config;
use crate::db::{Db, StoreError, outbox, usage};
use crate::publish::{RowId, Subject, now, publish};
use domain::time::{DAY_MS, MINUTE_MS};
use edge::log::log;
use std::collections::BTreeMap;
use worker::Env;

/// Outbox rows in one run.
const MAX_ROWS: u32 = 100;
/// How long a run's claim holds, should the run die.
const CLAIM_MS: i64 = MINUTE_MS;
/// Rows deleted by one statement, and statements in one run: 20,000 events a minute, which is more
/// than the design's 10 M in 90 days bring (77 a minute).
const PURGE_ROWS: u32 = 2_000;
const PURGE_ROUNDS: usize = 10;
const HOURLY_KEPT_MS: i64 = 400 * DAY_MS;
/// A client that repeats a request does so within minutes.
const IDEMPOTENCY_KEPT_MS: i64 = DAY_MS;

pub async fn run(env: &Env) {
    if let Err(error) = drain(env).await {
        log("cron", "outbox not drained", &error.to_string());
    }
    let config = match Config::get(env) {
        Ok(config) => config,
        Err(error) => return log("cron", "nothing purged", &error.to_string()),
    };
    if let Err(error) = purge(env, &config).await {
        log("cron", "purge broke off", &error.to_string());
    }
}

/// Publishes what is due, each subject once however many changes it has seen.
async fn drain(env: &Env) -> Result<(), StoreError> {
    let db = Db::open(env)?;
    let now = now();
    let rows = outbox::claim(&db, now, now + CLAIM_MS, MAX_ROWS).await?;
    let mut due: BTreeMap<Subject, (Vec<RowId>, u32)> = BTreeMap::new();
    for row in rows {
        let Some(subject) = Subject::of_row(&row) else { continue };
        let (ids, attempts) = due.entry(subject).or_default();
        ids.push(RowId(row.id));
        *attempts = row.attempts.max(*attempts);
    }
    for (subject, (ids, attempts)) in due {
        publish(env, &db, &subject, &ids, attempts, "cron").await;
    }
    Ok(())
}

async fn purge(env: &Env, config: &Config) -> Result<(), StoreError> {
    let db = Db::open(env)?;
    let now = now();
    let is_full = |deleted: usize| u32::try_from(deleted).is_ok_and(|n| n >= PURGE_ROWS);
    for _ in 0..PURGE_ROUNDS {
        if !is_full(usage::purge_events(&db, now - config.events_retention_ms, PURGE_ROWS).await?) {
            break;
        }
    }
    for _ in 0..PURGE_ROUNDS {
        if !is_full(usage::purge_hourly(&db, now - HOURLY_KEPT_MS, PURGE_ROWS).await?) {
            break;
        }
    }
    usage::purge_idempotency(&db, now - IDEMPOTENCY_KEPT_MS).await?;
    Ok(())
}
