//! Runs each minute: drains the outbox, compares KV with D1, updates notifications, and deletes expired records.
//!
//! Everything here is bounded, so that a run ends long before the next begins; the rest
//! waits a minute.

use crate::config::Config;
use crate::db::upkeep::UsageNews;
use crate::db::usage::upkeep::{FULL_BYTES, UsageState};
use crate::db::{Db, StoreError, UsageDb, audit, from_json, settings, teams, to_json, upkeep, usage};
use crate::publish::{Kv, KvError, Writer, drain_all, first_prices, relay};
use crate::{alerts, invitations, reconcile, reseal, zone};
use contract::teams::TeamZone;
use domain::collect;
use domain::feed::Glance;
use domain::json;
use domain::keys::{KeyRing, LedSince, led_since};
use domain::time::{HOUR_MS, UnixMs};
use domain::usage::UsageMessage;
use edge::clock::now;
use edge::log::{Source, log, note};
use edge::queue::{Packed, Queue};
use futures_util::FutureExt;
use std::fmt::Display;
use worker::Env;

/// The time for which a run publishes, in ms, and the KV operations that it leaves for the comparison.
const DRAIN_MS: i64 = 30_000;
const RECONCILE_OPERATIONS: u32 = 150;
/// Rows deleted by one statement, and statements in one run.
const PURGE_ROWS: u32 = 500;
const PURGE_ROUNDS: usize = 40;

/// Runs once, unless the run before it is still working.
pub async fn run(env: &Env) {
    let lease = async {
        let (db, holder) = (Db::open(env)?, to_json(&audit::new_id("run_")?)?);
        let is_free = settings::lease(&db, settings::CRON_LEASE, &holder, now()).await?;
        Ok::<_, StoreError>(is_free.then_some((db, holder)))
    };
    let Some(lease) = done("nothing done", lease.await) else { return };
    let Some((db, holder)) = lease else {
        return log(Source::Cron, "nothing done", "the run before is still at work");
    };
    let usage = done("usage not opened", db.usage(env));
    let state = match &usage {
        Some(usage) => done("usage not looked at", note_stored(&db, usage).await),
        None => None,
    };
    // The answer to the heartbeat before is known by now.
    done("no heartbeat", beat(env, &db).await);
    run_steps(env, &db, usage.as_ref(), state).await;
    done("lease not given back", settings::give_back(&db, settings::CRON_LEASE, &holder).await);
}

/// Returns the result of a step. A failure is logged as `failed`, and the next step still runs.
fn done<T>(failed: &str, result: Result<T, impl Display>) -> Option<T> {
    result.inspect_err(|error| log(Source::Cron, failed, &error.to_string())).ok()
}

async fn run_steps(env: &Env, db: &Db, usage: Option<&UsageDb>, state: Option<UsageState>) {
    let config = done("nothing sealed, sent or purged", Config::get(env));
    done("time zones not kept", keep_zones(db, now()).await);
    publish(env, db, config.as_deref()).await;
    if let Some(usage) = usage {
        keep_usage(db, usage, state, config.as_deref()).await;
    }
    // Boxed, so that its end is compiled once and not into each future around it.
    let is_restore = done("hold not read", is_restore(env, db).await);
    let sender = config.as_deref().filter(|_| is_restore != Some(true));
    notify(env, db, usage.zip(state), (config.as_deref(), sender)).boxed_local().await;
    done("models without a price not looked at", upkeep::resolve_unpriced(db, now()).await);
    if let Some(config) = config {
        done("invitations not sent", invitations::send_due(&config, db, now()).await);
        done("purge broke off", purge(db, &config).await);
    }
    // The last step, because it reads what people wrote: if that ever is too much for the isolate, the rest is done.
    if is_restore == Some(false) {
        done("audit log not chained", chain_audit(db).await);
    }
}

/// Reads the zones again whose clocks have been changed, so that the limits of these teams' tokens know the next change.
async fn keep_zones(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    for (team, text) in teams::zones_due(db, now).await? {
        let before: TeamZone = from_json(&text)?;
        let Some(zone) = zone::of_team(&before.name, now) else { continue };
        db.batch(teams::set_zone(db, &team, &text, &zone, now)?).await?;
    }
    Ok(())
}

/// Whether a restore is under way. Then no alert is sent, since the database may be an earlier one, of which nobody has looked
/// yet who may receive it; and the audit log is not chained, since entries of before are put back. If KV cannot say so, alerts
/// are sent all the same: that KV is away may be one of them.
async fn is_restore(env: &Env, db: &Db) -> Result<bool, KvError> {
    Ok(Kv::open(env, db)?.hold().await?.is_some_and(|hold| hold.is_of_a_restore()))
}

/// Chains the audit log's new entries.
async fn chain_audit(db: &Db) -> Result<(), StoreError> {
    if let Some((entries, head)) = audit::chain::run(db, now()).await? {
        note(Source::Cron, "audit log chained", &format!("{entries} entries, head {head}"));
    }
    Ok(())
}

/// Folds and tidies usage, and makes room if its database is nearly full.
async fn keep_usage(db: &Db, usage: &UsageDb, state: Option<UsageState>, config: Option<&Config>) {
    done("usage not folded", usage::folding::run(usage, now()).await);
    done("segments not merged", usage::folding::merge(usage).await);
    let Some(config) = config else { return };
    let purged =
        usage::upkeep::purge(usage, now(), config.events_retention_ms, config.errors_retention_ms).await;
    done("usage not purged", purged);
    let Some(state) = state else { return };
    let shed =
        done("no room made", usage::upkeep::shed(usage, state.bytes, config.usage_db_bytes, now()).await);
    done("notification not written", upkeep::note_shed(db, shed.unwrap_or(0), now()).await);
}

/// Notes the consumer's last batch, which answers a heartbeat.
async fn note_stored(db: &Db, usage: &UsageDb) -> Result<UsageState, StoreError> {
    let state = usage::upkeep::state(usage).await?;
    if state.stored_at > 0 {
        let lag_ms = state.lag_ms.to_string();
        db.batch(vec![settings::put(db, settings::QUEUE_LAG, &lag_ms, state.stored_at)?]).await?;
    }
    Ok(state)
}

/// Opens and resolves notifications, makes deliveries of alerts and sends those that are due, unless there is no sender. Without
/// usage, notifications about it are left as they are. A run in which nothing is in use, fails or is due asks D1 twice for all
/// of this: two transactions of fifteen statements together.
async fn notify(
    env: &Env,
    db: &Db,
    usage: Option<(&UsageDb, UsageState)>,
    (config, sender): (Option<&Config>, Option<&Config>),
) {
    let mut rooms = Vec::new();
    if let Some((usage, state)) = usage
        && let Some(news) = done("usage not looked at", UsageNews::read(usage, now()).await)
    {
        let most = config.and_then(|config| config.usage_db_bytes).unwrap_or(FULL_BYTES);
        rooms.push(("USAGE_DB", state.bytes, most));
        let bytes = upkeep::notify_of_usage(db, &news, now()).await;
        rooms.extend(done("usage not reported", bytes).map(|bytes| ("DB", bytes, FULL_BYTES)));
        done("budgets not watched", alerts::watch::budgets(env, db, &news.activity, now()).await);
        done("spikes not watched", alerts::watch::spikes(db, usage, &news.activity, now()).await);
    }
    let statements = alerts::watch::statements(db, &rooms, now()).and_then(|mut statements| {
        if sender.is_some() {
            statements.extend(alerts::deliver::statements(db, now())?);
        }
        Ok(statements)
    });
    let more = done("platform not watched", statements).unwrap_or_default();
    let found = done("notifications not written", upkeep::notify(db, more, now()).await);
    if let (Some(config), Some(found)) = (sender, found) {
        done("alerts not sent", alerts::deliver::run(config, db, &found).await);
    }
}

/// Publishes what is due to KV, the most urgent first; then does the slower work.
async fn publish(env: &Env, db: &Db, config: Option<&Config>) {
    let writer = match Writer::begin(env, db).await {
        Ok(writer) => Some(writer),
        Err(error) => {
            log(Source::Cron, "nothing published", &error.to_string());
            if !matches!(error, KvError::Held(_)) {
                done("failure not noted", reconcile::note_failure(db, &error.to_string()).await);
            }
            None
        }
    };
    if let Some(writer) = &writer {
        // So that the feed knows that it is told of changes, even if there are none.
        writer.kv.feed.glance(Glance::default(), Source::Cron).await;
        writer.bound(RECONCILE_OPERATIONS, now() + DRAIN_MS);
        if drain(writer, db).await && !writer.is_away() {
            relay::begin(env, db).await;
        }
    }
    let is_resealed = match config {
        Some(config) => reseal(db, config).await,
        None => false,
    };
    let Some(writer) = writer else { return };
    if is_resealed {
        drain(&writer, db).await;
    }
    done("prices not published", first_prices(&writer, db, Source::Cron).await);
    done("KV not compared", reconcile::run(&writer, db).await);
}

/// Publishes what is due. Returns whether something may be left.
async fn drain(writer: &Writer, db: &Db) -> bool {
    done("outbox not drained", drain_all(writer, db, Source::Cron).await).unwrap_or(false)
}

/// Seals credentials again. Returns whether there were any, so that the route table has changed.
async fn reseal(db: &Db, config: &Config) -> bool {
    done("keys not noted", note_keys(db, config).await);
    done("credentials not sealed again", reseal::run(db, config, Source::Cron).await).unwrap_or(false)
}

/// Notes the keys in use, for the scripts that rotate a key.
async fn note_keys(db: &Db, config: &Config) -> Result<(), StoreError> {
    let keys = collect::map([
        ("TOKEN_CHECK_KEY", Some(config.check_keys.fingerprints())),
        ("CREDENTIAL_KEY", Some(config.credential_keys.fingerprints())),
        ("DERIVE_KEY", config.derive_keys.as_ref().map(KeyRing::fingerprints)),
        ("USAGE_LOG_KEY", config.usage_log_keys.as_ref().map(KeyRing::fingerprints)),
    ]);
    let known = settings::get(db, settings::KEYS).await?;
    let since = settings::get(db, settings::KEYS_SINCE).await?;
    let text = to_json(&keys)?;
    let is_known = known.as_ref().is_some_and(|known| known.value == text);
    if is_known && since.is_some() {
        return Ok(());
    }
    // Keys that were already in use keep the time at which their change was noted.
    let at = known.filter(|_| is_known).map_or_else(now, |known| known.updated_at);
    let since: LedSince = since.and_then(|since| json::from_text(&since.value).ok()).unwrap_or_default();
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
    upkeep::purge(db, now, config.audit_retention_ms, PURGE_ROWS).await?;
    // Noted only if nothing is left, so that the next run continues, and with the time at which it was done,
    // so that a minute without a run skips nothing.
    if is_hourly_due(upkeep::purged_hourly_at(db).await?, now)
        && in_rounds(db, async || upkeep::purge_hourly(db, now, PURGE_ROWS).await).await?
    {
        upkeep::note_purged_hourly(db, now).await?;
    }
    Ok(())
}

/// Returns whether a step that runs once in each hour of the clock, and last ran at `last`, is due.
fn is_hourly_due(last: Option<UnixMs>, now: UnixMs) -> bool {
    last.is_none_or(|last| last.div_euclid(HOUR_MS) != now.div_euclid(HOUR_MS))
}

/// Deletes in rounds of [`PURGE_ROWS`] until a round is not full or this run has used its queries. Returns
/// whether nothing is left.
async fn in_rounds(
    db: &Db,
    mut round: impl AsyncFnMut() -> Result<usize, StoreError>,
) -> Result<bool, StoreError> {
    for _ in 0..PURGE_ROUNDS {
        if db.budget().d1_left() == 0 {
            break;
        }
        if u32::try_from(round().await?).is_ok_and(|deleted| deleted < PURGE_ROWS) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sends an empty message through the queue. The consumer notes when it last stored anything; an unanswered
/// heartbeat shows in the health report and opens a notification. To a consumer of any version it is a message
/// without events.
async fn beat(env: &Env, db: &Db) -> Result<(), String> {
    upkeep::note_heartbeat(db, now()).await.map_err(|error| error.to_string())?;
    let empty =
        UsageMessage { v: UsageMessage::VERSION, key: None, events: vec![], dropped: 0, unknown_tokens: 0 };
    Queue::usage(env)?.send(&Packed::new(&empty)?).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::MINUTE_MS;

    #[test]
    fn an_hourly_step_runs_every_hour_even_if_the_cron_misses_minutes() {
        let at = |hour: i64, minute: i64| hour * HOUR_MS + minute * MINUTE_MS;
        assert!(is_hourly_due(None, at(7, 3)), "never done");
        for minute in 0..60 {
            assert!(is_hourly_due(Some(at(7, 59)), at(8, minute)), "the first run of the hour, at {minute}");
            assert!(!is_hourly_due(Some(at(8, 0)), at(8, minute)), "done in this hour");
        }
    }
}
