//! `/health`

use crate::auth;
use crate::config::derive_keys;
use crate::db::audit::chain::{self, End, Places};
use crate::db::canary as store;
use crate::db::seals::{self, Seals};
use crate::db::usage::folding::OLD_INBOX_MS;
use crate::db::usage::upkeep::{self as usage_upkeep, FULL_BYTES, UsageState};
use crate::db::{Db, StoreError, outbox, settings, upkeep};
use crate::handlers::canary;
use crate::publish::{Kv, KvError};
use crate::reconcile::{self, Progress};
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::upkeep::{HealthCheck, HealthDetailed, HealthStatus, stalled_since};
use domain::feed::{Command, Glance, Held};
use domain::health::Health;
use domain::problem::HealthNote;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, UnixMs, to_rfc3339};
use edge::clock::now;
use edge::env::EnvVars;
use edge::log::{Source, log};
use std::cell::RefCell;

const SERVICE: &str = "admin-api";
/// Requests within this time get the same response again.
const MAX_AGE_MS: i64 = 10 * SECOND_MS;
/// The age from which a pending change indicates a problem rather than normal delay.
const SLOW_PUBLICATION_MS: i64 = MINUTE_MS;
/// The age from which a comparison is old. A round takes twelve hours for a million tokens.
const OLD_COMPARISON_MS: i64 = DAY_MS;
/// The lag from which the queue is slow. The design promises an event in the reports within 10 s of its call.
const SLOW_QUEUE_MS: i64 = 30 * SECOND_MS;
/// The age from which an entry of the audit log should long be chained.
const SLOW_CHAIN_MS: i64 = 5 * MINUTE_MS;
/// The time for which the lag that the consumer noted is valid.
const QUEUE_NEWS_MS: i64 = 5 * MINUTE_MS;

thread_local!(static LAST: RefCell<Option<HealthDetailed>> = const { RefCell::new(None) });

/// `GET /health`. It touches no store.
pub fn get() -> Answer<Health> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    respond(Health { status: "ok".to_owned(), service: SERVICE.to_owned(), version, feed: None })
}

/// `GET /health/detailed`
pub async fn detailed(call: &Call, _: Asked<()>) -> Answer<HealthDetailed> {
    let health = known(call).await;
    let status = if health.status == HealthStatus::Down { 503 } else { 200 };
    respond(health).map(|reply| reply.status(status))
}

/// Returns the state of the system, measured at most [`MAX_AGE_MS`] ago.
pub async fn known(call: &Call) -> HealthDetailed {
    let is_fresh = |health: &HealthDetailed| (0..MAX_AGE_MS).contains(&(call.now - health.checked_at));
    let known = LAST.with_borrow(|last| last.as_ref().filter(|health| is_fresh(health)).cloned());
    if let Some(health) = known {
        return health;
    }
    let health = measure(call).await;
    LAST.set(Some(health.clone()));
    health
}

async fn measure(call: &Call) -> HealthDetailed {
    let mut checks = Vec::new();
    // The hold is a small entry and usually absent. Reading it shows that KV responds.
    let hold = hold(call)
        .await
        .inspect_err(|e| log(Source::Request(&call.request_id), "health: KV", &e.to_string()));
    match stored(call, hold.as_ref().ok().copied().flatten()).await {
        Ok((size, stored)) => {
            let note = HealthNote::Holds { megabytes: size / 1_000_000 };
            checks.push(check("database", HealthStatus::Ok, Some(note)));
            checks.extend(stored);
        }
        Err(error) => {
            log(Source::Request(&call.request_id), "health: D1", &error.to_string());
            checks.push(check("database", HealthStatus::Down, None));
        }
    }
    checks.push(check("kv", if hold.is_ok() { HealthStatus::Ok } else { HealthStatus::Down }, None));
    checks.push(feed(call).await);
    let sessions = if auth::has_keys(call).await { HealthStatus::Ok } else { HealthStatus::Down };
    checks.push(check("sessions", sessions, None));
    if derive_keys(&EnvVars(&call.env)).is_err() {
        checks.push(check("derived-tokens", HealthStatus::Degraded, Some(HealthNote::DeriveKey)));
    }
    HealthDetailed {
        status: checks.iter().map(|check| check.status).max().unwrap_or(HealthStatus::Ok),
        service: SERVICE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        checked_at: now(),
        checks,
    }
}

fn check(name: &str, status: HealthStatus, note: Option<HealthNote>) -> HealthCheck {
    HealthCheck::new(name, status, note)
}

async fn hold(call: &Call) -> Result<Option<UnixMs>, KvError> {
    let db = call.db().map_err(|e| KvError::Away(e.to_string()))?;
    Ok(Kv::open(&call.env, &db)?.hold().await?.map(|hold| hold.until))
}

/// Asks the change feed. While it is away changes take as long as KV does.
async fn feed(call: &Call) -> HealthCheck {
    let asked: Result<Held, String> = edge::feed::ask(&call.env, &Command::Glance(Glance::default())).await;
    match asked {
        Ok(_) => check("feed", HealthStatus::Ok, None),
        Err(cause) => {
            log(Source::Request(&call.request_id), "health: change feed", &cause);
            check("feed", HealthStatus::Degraded, Some(HealthNote::Gone))
        }
    }
}

/// Checks the database of usage. Calls and tokens do not need it.
fn usage(state: &Result<UsageState, StoreError>, full_bytes: Option<u64>, now: UnixMs) -> HealthCheck {
    let Ok(state) = state else { return check("usage", HealthStatus::Degraded, Some(HealthNote::Gone)) };
    let percent = state.bytes.saturating_mul(100) / full_bytes.unwrap_or(FULL_BYTES).max(1);
    let waiting_ms = state.oldest_at.map_or(0, |at| now - at);
    if percent >= 80 {
        return check("usage", HealthStatus::Degraded, Some(HealthNote::NearlyFull { percent }));
    }
    if waiting_ms > OLD_INBOX_MS {
        let minutes = waiting_ms / MINUTE_MS;
        return check("usage", HealthStatus::Degraded, Some(HealthNote::NotFolded { minutes }));
    }
    check("usage", HealthStatus::Ok, Some(HealthNote::Holds { megabytes: state.bytes / 1_000_000 }))
}

/// Checks the other parts, with data from D1.
async fn stored(call: &Call, held_until: Option<UnixMs>) -> Result<(u64, Vec<HealthCheck>), StoreError> {
    let db: Db = call.db()?;
    let size = db.size().await?;
    let outbox = outbox::summary(&db).await?;
    let state = match db.usage(&call.env) {
        Ok(usage) => usage_upkeep::state(&usage).await,
        Err(error) => Err(error),
    };
    let lag = match &state {
        Ok(state) if state.stored_at > 0 => {
            Some(settings::Setting { value: state.lag_ms.to_string(), updated_at: state.stored_at })
        }
        _ => settings::get(&db, settings::QUEUE_LAG).await?,
    };
    let waiting_since = upkeep::waiting_since(&db).await?;
    let drift = upkeep::drift_count(&db).await?;
    let compared = reconcile::progress(&db).await?;
    let seals = seals::count(&db, &call.config.credential_keys.first().fingerprint()).await?;
    let places = chain::places(&db).await?;
    let end = chain::end(&db, places.head.as_ref().map_or(0, |head| head.seq)).await?;
    let canary = store::last(&db).await?;
    let checks = vec![
        publication(&outbox, held_until, call.now),
        queue(lag.as_ref(), waiting_since, call.now),
        usage(&state, call.config.usage_db_bytes, call.now),
        drifted(drift, &compared, call.now),
        credentials(seals),
        audit(&places, end.as_ref(), call.now),
        canary::checked(canary.as_ref(), call.config.canary_every_min, call.now),
    ];
    Ok((size, checks))
}

fn publication(outbox: &outbox::Summary, held_until: Option<UnixMs>, now: UnixMs) -> HealthCheck {
    if let Some(until) = held_until {
        let note = to_rfc3339(until).map_or(HealthNote::HeldOpen, |until| HealthNote::Held { until });
        return check("publication", HealthStatus::Degraded, Some(note));
    }
    let age_ms = outbox.oldest_at.map_or(0, |at| now - at);
    let status = if age_ms > SLOW_PUBLICATION_MS { HealthStatus::Degraded } else { HealthStatus::Ok };
    let note = (outbox.pending > 0)
        .then_some(HealthNote::Pending { changes: outbox.pending, seconds: age_ms / SECOND_MS });
    check("publication", status, note)
}

fn queue(lag: Option<&settings::Setting>, waiting_since: Option<UnixMs>, now: UnixMs) -> HealthCheck {
    let stored_at = lag.map(|lag| lag.updated_at);
    if let Some(since) = waiting_since.and_then(|waiting| stalled_since(waiting, stored_at, now)) {
        let note = HealthNote::Silent { seconds: (now - since) / SECOND_MS };
        return check("queue", HealthStatus::Degraded, Some(note));
    }
    let recent = lag.filter(|lag| now - lag.updated_at < QUEUE_NEWS_MS);
    let lag_ms: i64 = recent.and_then(|lag| lag.value.parse().ok()).unwrap_or(0);
    if lag_ms > SLOW_QUEUE_MS {
        return check(
            "queue",
            HealthStatus::Degraded,
            Some(HealthNote::Behind { seconds: lag_ms / SECOND_MS }),
        );
    }
    check("queue", HealthStatus::Ok, None)
}

fn drifted(entries: u32, compared: &Progress, now: UnixMs) -> HealthCheck {
    let age_ms = compared.completed_at.or(compared.started_at).map_or(0, |at| now - at);
    let note = if entries > 0 {
        HealthNote::Drift { entries }
    } else if age_ms > OLD_COMPARISON_MS {
        HealthNote::NotCompared { hours: age_ms / HOUR_MS }
    } else if compared.error.is_some() {
        HealthNote::ComparisonFailed
    } else {
        return check("drift", HealthStatus::Ok, None);
    };
    check("drift", HealthStatus::Degraded, Some(note))
}

fn credentials(seals: Seals) -> HealthCheck {
    let Seals { older, lost } = seals;
    if lost > 0 {
        return check("credentials", HealthStatus::Degraded, Some(HealthNote::KeyGone { credentials: lost }));
    }
    check("credentials", HealthStatus::Ok, (older > 0).then_some(HealthNote::KeyOlder { credentials: older }))
}

/// Checks the chain of the audit log and shows its head, so that whoever watches this report keeps it.
fn audit(places: &Places, end: Option<&End>, now: UnixMs) -> HealthCheck {
    let head = places.head.as_ref();
    if let Some(head) = head.filter(|head| end.and_then(|end| end.hash) != Some(head.hash)) {
        return check("audit", HealthStatus::Degraded, Some(HealthNote::HeadGone { seq: head.seq }));
    }
    let waiting_ms = end.and_then(|end| end.waiting_since).map_or(0, |at| now - at.max(places.chained_at));
    if waiting_ms > SLOW_CHAIN_MS {
        let minutes = waiting_ms / MINUTE_MS;
        return check("audit", HealthStatus::Degraded, Some(HealthNote::NotChained { minutes }));
    }
    let note = head.map(|head| HealthNote::Chained { head: head.to_string() });
    check("audit", HealthStatus::Ok, note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::upkeep::STALLED_AFTER_MS;
    use domain::audit::chain::{EntryHash, Head};

    #[test]
    fn the_worst_status_counts() {
        assert!(HealthStatus::Ok < HealthStatus::Degraded && HealthStatus::Degraded < HealthStatus::Down);
    }

    #[test]
    fn a_backlog_shows_its_age() {
        let with = |pending, oldest_at| publication(&outbox::Summary { pending, oldest_at }, None, 100_000);
        assert_eq!(with(0, None), check("publication", HealthStatus::Ok, None));
        assert_eq!(with(2, Some(90_000)).note.as_deref(), Some("2 pending for 10 s"));
        assert_eq!(with(1, Some(10_000)).status, HealthStatus::Degraded);
    }

    #[test]
    fn a_hold_shows_its_end() {
        let held = publication(&outbox::Summary::default(), Some(0), 0);
        assert_eq!(held.status, HealthStatus::Degraded);
        assert_eq!(held.note.as_deref(), Some("held until 1970-01-01T00:00:00.000Z"));
        let endless = publication(&outbox::Summary::default(), Some(UnixMs::MAX), 0);
        assert_eq!(endless.note.as_deref(), Some("held until somebody ends it"));
    }

    #[test]
    fn an_old_or_failed_comparison_shows() {
        let of = |entries, completed_at, error: Option<&str>| {
            let error = error.map(str::to_owned);
            let progress = Progress { started_at: Some(0), completed_at, error, ..Progress::default() };
            drifted(entries, &progress, 30 * HOUR_MS).note
        };
        assert_eq!(of(0, Some(29 * HOUR_MS), None), None);
        assert_eq!(of(0, Some(HOUR_MS), None).as_deref(), Some("not compared for 29 h"));
        assert_eq!(of(0, None, None).as_deref(), Some("not compared for 30 h"));
        assert_eq!(
            of(0, Some(29 * HOUR_MS), Some("KV: secret")).as_deref(),
            Some("the last comparison failed")
        );
        assert_eq!(of(2, Some(29 * HOUR_MS), None).as_deref(), Some("2 entries"));
        assert_eq!(drifted(0, &Progress::default(), HOUR_MS).status, HealthStatus::Ok);
    }

    #[test]
    fn a_chain_that_is_late_or_whose_end_is_gone_shows() {
        let head = Head { seq: 7, ..Head::start() };
        let places = Places { head: Some(head.clone()), chained_at: 1_000, cut: None };
        let of = |hash, waiting_since| {
            let check = audit(&places, Some(&End { hash, waiting_since }), 1_000 + SLOW_CHAIN_MS + MINUTE_MS);
            (check.status, check.note.unwrap_or_default())
        };
        let same = Some(EntryHash::GENESIS);
        assert_eq!(of(same, None), (HealthStatus::Ok, format!("chained up to {head}")));
        assert_eq!(of(same, Some(200_000)).0, HealthStatus::Ok);
        assert_eq!(of(same, Some(0)), (HealthStatus::Degraded, "not chained for 6 min".to_owned()));
        let gone = (HealthStatus::Degraded, "entry 7, chained last, is gone or changed".to_owned());
        assert_eq!(of(None, None), gone);
        assert_eq!(audit(&Places::default(), None, 0), check("audit", HealthStatus::Ok, None));
    }

    #[test]
    fn an_old_lag_of_the_consumer_does_not_count() {
        let lag = |value: &str, updated_at| settings::Setting { value: value.to_owned(), updated_at };
        assert_eq!(queue(Some(&lag("45000", 0)), None, 10).status, HealthStatus::Degraded);
        assert_eq!(queue(Some(&lag("45000", 0)), None, QUEUE_NEWS_MS).status, HealthStatus::Ok);
        assert_eq!(queue(Some(&lag("500", 0)), None, 10).status, HealthStatus::Ok);
        assert_eq!(queue(None, None, 10).status, HealthStatus::Ok);
    }

    #[test]
    fn a_silent_consumer_is_noticed_even_if_it_never_stored_anything() {
        let lag = settings::Setting { value: "500".to_owned(), updated_at: 1_000 };
        let silent = queue(Some(&lag), Some(2_000), 2_000 + STALLED_AFTER_MS);
        assert_eq!(
            (silent.status, silent.note.as_deref()),
            (HealthStatus::Degraded, Some("nothing stored for 181 s"))
        );
        assert_eq!(queue(None, Some(0), STALLED_AFTER_MS).status, HealthStatus::Degraded);
        assert_eq!(queue(Some(&lag), Some(1_000), 1_000_000).status, HealthStatus::Ok, "answered");
    }
}
