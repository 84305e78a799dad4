//! Each minute: the outbox again, KV held against D1, the bell, and what is past its time deleted.
//!
//! Everything here is bounded, so that a run ends long before the next begins; what is left over
//! waits a minute.

use crate::config::Config;
use crate::db::{Db, StoreError, settings, to_json, upkeep, usage};
use crate::handlers::invitations;
use crate::publish::{drain, first_prices, now};
use crate::{reconcile, reseal};
use domain::span::{FINE_KEPT_MS, HOURLY_KEPT_MS};
use domain::time::MINUTE_MS;
use domain::vars::{KeyRing, LedSince, led_since};
use edge::log::log;
use std::collections::BTreeMap;
use worker::Env;

/// Outbox rows taken at once, and how long a run takes more of them, in ms.
const MAX_ROWS: u32 = 500;
const DRAIN_MS: i64 = 30_000;
/// A slice of all tokens is compared with KV every so many minutes: 14,400 tokens a day, or
/// $0.22 a month in KV reads.
const RECONCILE_EVERY: i64 = 10;
/// Rows deleted by one statement, and statements in one run: 20,000 events a minute, which is more
/// than the design's 10 M in 90 days bring (77 a minute).
const PURGE_ROWS: u32 = 500;
const PURGE_ROUNDS: usize = 40;

pub async fn run(env: &Env) {
    let db = match Db::open(env) {
        Ok(db) => db,
        Err(error) => return log("cron", "nothing done", &error.to_string()),
    };
    if let Ok(config) = Config::get(env) {
        if let Err(error) = note_keys(&db, &config).await {
            log("cron", "keys not noted", &error.to_string());
        }
        if let Err(error) = reseal::run(&db, &config, "cron").await {
            log("cron", "credentials not sealed anew", &error.to_string());
        }
    }
    if let Err(error) = drain_all(env, &db).await {
        log("cron", "outbox not drained", &error.to_string());
    }
    if let Err(error) = first_prices(env, &db, "cron").await {
        log("cron", "prices not published", &error.to_string());
    }
    let minute = now() / MINUTE_MS;
    if let Err(error) = reconcile::run(env, &db, minute % RECONCILE_EVERY == 0).await {
        log("cron", "KV not compared", &error.to_string());
    }
    if let Err(error) = upkeep::notify(&db, now()).await {
        log("cron", "notifications not written", &error.to_string());
    }
    let config = match Config::get(env) {
        Ok(config) => config,
        Err(error) => return log("cron", "nothing purged", &error.to_string()),
    };
    if let Err(error) = invitations::send_due(&config, &db, now()).await {
        log("cron", "invitations not sent", &error.to_string());
    }
    if let Err(error) = purge(&db, &config).await {
        log("cron", "purge broke off", &error.to_string());
    }
}

/// Tells those who rotate a key which ones are at work here.
async fn note_keys(db: &Db, config: &Config) -> Result<(), StoreError> {
    let keys = BTreeMap::from([
        ("TOKEN_CHECK_KEY", Some(config.check_keys.fingerprints())),
        ("CREDENTIAL_KEY", Some(config.credential_keys.fingerprints())),
        ("USAGE_LOG_KEY", config.usage_log_keys.as_ref().map(KeyRing::fingerprints)),
    ]);
    let known = settings::get(db, settings::KEYS).await?;
    let since = settings::get(db, settings::KEYS_SINCE).await?;
    let text = to_json(&keys)?;
    let is_known = known.as_ref().is_some_and(|known| known.value == text);
    if is_known && since.is_some() {
        return Ok(());
    }
    // Keys that were at work before this was noted have been since they were last seen to change.
    let at = known.filter(|_| is_known).map_or_else(now, |known| known.updated_at);
    let since: LedSince = since.and_then(|since| serde_json::from_str(&since.value).ok()).unwrap_or_default();
    let since = to_json(&led_since(&since, &keys, at))?;
    db.batch(vec![
        settings::put(db, settings::KEYS, &text, now())?,
        settings::put(db, settings::KEYS_SINCE, &since, now())?,
    ])
    .await?;
    Ok(())
}

/// Publishes what is due, for as long as a run may take: after a republication that is every token.
async fn drain_all(env: &Env, db: &Db) -> Result<(), StoreError> {
    let until = now() + DRAIN_MS;
    while drain(env, db, MAX_ROWS, "cron").await? == MAX_ROWS && now() < until {}
    Ok(())
}

async fn purge(db: &Db, config: &Config) -> Result<(), StoreError> {
    let now = now();
    let is_full = |deleted: usize| u32::try_from(deleted).is_ok_and(|n| n >= PURGE_ROWS);
    for _ in 0..PURGE_ROUNDS {
        if !is_full(usage::purge_events(db, now - config.events_retention_ms, PURGE_ROWS).await?) {
            break;
        }
    }
    for (granularity, kept_ms) in [("5m", FINE_KEPT_MS), ("hour", HOURLY_KEPT_MS)] {
        for _ in 0..PURGE_ROUNDS {
            if !is_full(usage::purge_rollups(db, granularity, now - kept_ms, PURGE_ROWS).await?) {
                break;
            }
        }
    }
    upkeep::purge(db, now, config.audit_retention_ms, PURGE_ROWS).await
}
