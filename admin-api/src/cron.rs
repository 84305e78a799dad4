//! Each minute: the outbox again, KV compared with D1, the bell, and what is past its time deleted.
//!
//! Everything here is bounded, so that a run ends long before the next begins; what is left over
//! waits a minute.

use crate::config::Config;
use crate::db::{Db, StoreError, audit, settings, to_json, upkeep, usage};
use crate::handlers::invitations;
use crate::publish::{KvError, Writer, drain_all, first_prices, relay};
use crate::{reconcile, reseal};
use domain::keys::{KeyRing, LedSince, led_since};
use domain::time::MINUTE_MS;
use domain::usage::UsageMessage;
use domain::usage::span::{FINE_KEPT_MS, HOURLY_KEPT_MS};
use edge::clock::now;
use edge::log::{Source, log};
use edge::queue::{Packed, Queue};
use std::collections::BTreeMap;
use worker::Env;

/// How long a run publishes, in ms, and the KV operations that it leaves for the comparison.
const DRAIN_MS: i64 = 30_000;
const RECONCILE_OPERATIONS: u32 = 150;
/// Rows deleted by one statement, and statements in one run: 20,000 events a minute, which is more
/// than the design's 10 M in 90 days bring (77 a minute).
const PURGE_ROWS: u32 = 500;
const PURGE_ROUNDS: usize = 40;
/// Minutes between two runs of a step that looks further than an index leads.
const HOURLY: i64 = 60;

/// One run, unless the one before is still at work.
pub async fn run(env: &Env) {
    let lease = async {
        let (db, holder) = (Db::open(env)?, to_json(&audit::new_id("run_")?)?);
        let is_free = settings::lease(&db, settings::CRON_LEASE, &holder, now()).await?;
        Ok::<_, StoreError>(is_free.then_some((db, holder)))
    };
    let (db, holder) = match lease.await {
        Ok(Some(lease)) => lease,
        Ok(None) => return log(Source::Cron, "nothing done", "the run before is still at work"),
        Err(error) => return log(Source::Cron, "nothing done", &error.to_string()),
    };
    if let Err(error) = beat(env, &db).await {
        log(Source::Cron, "no heartbeat", &error);
    }
    run_steps(env, &db).await;
    if let Err(error) = settings::give_back(&db, settings::CRON_LEASE, &holder).await {
        log(Source::Cron, "lease not given back", &error.to_string());
    }
}

async fn run_steps(env: &Env, db: &Db) {
    publish(env, db).await;
    if let Err(error) = upkeep::notify(db, now()).await {
        log(Source::Cron, "notifications not written", &error.to_string());
    }
    if let Err(error) = upkeep::resolve_unpriced(db, now()).await {
        log(Source::Cron, "models without a price not looked at", &error.to_string());
    }
    let config = match Config::get(env) {
        Ok(config) => config,
        Err(error) => return log(Source::Cron, "nothing purged", &error.to_string()),
    };
    if let Err(error) = invitations::send_due(&config, db, now()).await {
        log(Source::Cron, "invitations not sent", &error.to_string());
    }
    if let Err(error) = purge(db, &config).await {
        log(Source::Cron, "purge broke off", &error.to_string());
    }
}

/// Tells KV what is due, the most urgent first; then what takes its time.
async fn publish(env: &Env, db: &Db) {
    let writer = match Writer::begin(env, db).await {
        Ok(writer) => Some(writer),
        Err(error) => {
            log(Source::Cron, "nothing published", &error.to_string());
            if !matches!(error, KvError::Held(_))
                && let Err(error) = reconcile::note_failure(db, &error.to_string()).await
            {
                log(Source::Cron, "failure not noted", &error.to_string());
            }
            None
        }
    };
    if let Some(writer) = &writer {
        writer.bound(RECONCILE_OPERATIONS, now() + DRAIN_MS);
        if drain(writer, db).await && !writer.is_away() {
            relay::begin(env, db).await;
        }
    }
    let is_resealed = reseal(env, db).await;
    let Some(writer) = writer else { return };
    if is_resealed {
        drain(&writer, db).await;
    }
    if let Err(error) = first_prices(&writer, db, Source::Cron).await {
        log(Source::Cron, "prices not published", &error.to_string());
    }
    if let Err(error) = reconcile::run(&writer, db).await {
        log(Source::Cron, "KV not compared", &error.to_string());
    }
}

/// Whether something may be left.
async fn drain(writer: &Writer, db: &Db) -> bool {
    drain_all(writer, db, Source::Cron).await.unwrap_or_else(|error| {
        log(Source::Cron, "outbox not drained", &error.to_string());
        false
    })
}

/// Whether credentials were sealed again, so that the route table has changed.
async fn reseal(env: &Env, db: &Db) -> bool {
    let Ok(config) = Config::get(env) else { return false };
    if let Err(error) = note_keys(db, &config).await {
        log(Source::Cron, "keys not noted", &error.to_string());
    }
    reseal::run(db, &config, Source::Cron).await.unwrap_or_else(|error| {
        log(Source::Cron, "credentials not sealed again", &error.to_string());
        false
    })
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
    Queue::usage(env)?.send(&Packed::new(&empty)?).await
}
