//! Each minute: the outbox again, KV held against D1, the bell, and what is past its time deleted.
//!
//! Everything here is bounded, so that a run ends long before the next begins; what is left over
//! waits a minute.

use crate::config::Config;
use crate::db::{Db, StoreError, settings, upkeep, usage};
use crate::handlers::invitations;
use crate::publish::{drain, first_prices, now};
use crate::{reconcile, reseal};
use domain::span::{FINE_KEPT_MS, HOURLY_KEPT_MS};
use domain::time::MINUTE_MS;
use domain::usage::UsageMessage;
use domain::vars::KeyRing;
use edge::env::USAGE;
use edge::log::log;
use wasm_bindgen::JsValue;
use worker::{Env, QueueContentType, RawMessageBuilder};

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
/// What looks further than an index leads runs once in so many minutes.
const HOURLY: i64 = 60;

pub async fn run(env: &Env) {
    let db = match Db::open(env) {
        Ok(db) => db,
        Err(error) => return log("cron", "nothing done", &error.to_string()),
    };
    if let Err(error) = beat(env, &db).await {
        log("cron", "no heartbeat", &error);
    }
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
    if let Err(error) = upkeep::resolve_unpriced(&db, now()).await {
        log("cron", "models without a price not looked at", &error.to_string());
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
    let keys = serde_json::json!({
        "TOKEN_CHECK_KEY": config.check_keys.fingerprints(),
        "CREDENTIAL_KEY": config.credential_keys.fingerprints(),
        "USAGE_LOG_KEY": config.usage_log_keys.as_ref().map(KeyRing::fingerprints),
    })
    .to_string();
    if settings::get(db, settings::KEYS).await?.is_some_and(|known| known.value == keys) {
        return Ok(());
    }
    db.batch(vec![settings::put(db, settings::KEYS, &keys, now())?]).await?;
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
        if !is_full(usage::purge_events(db, now - config.events_retention_ms, now, PURGE_ROWS).await?) {
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
    upkeep::purge(db, now, config.audit_retention_ms, PURGE_ROWS).await?;
    if now / MINUTE_MS % HOURLY == 0 {
        upkeep::purge_secrets(db, now, PURGE_ROWS).await?;
    }
    Ok(())
}

/// Sends an empty message through the queue. The consumer notes when it last stored anything; what it
/// leaves unanswered shows in health and rings the bell. To a consumer of any version it is a message
/// without events.
async fn beat(env: &Env, db: &Db) -> Result<(), String> {
    upkeep::note_heartbeat(db, now()).await.map_err(|error| error.to_string())?;
    let empty = UsageMessage { v: UsageMessage::VERSION, events: vec![], dropped: 0, unknown_tokens: 0 };
    let text = serde_json::to_string(&empty).map_err(|error| error.to_string())?;
    let message =
        RawMessageBuilder::new(JsValue::from_str(&text)).build_with_content_type(QueueContentType::Text);
    let queue = env.queue(USAGE).map_err(|error| error.to_string())?;
    queue.send_raw(message).await.map_err(|error| error.to_string())
}
