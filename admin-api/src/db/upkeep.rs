//! Notifications, including the findings of the comparison of KV with D1, and the deletion of old records.

use super::usage::activity::Activity;
use super::usage::upkeep::{self as usage_upkeep, Lost};
use super::{Db, Statement, StoreError, UsageDb, params, prices, settings, sql, to_json};
use contract::upkeep::{Drift, Notification, NotificationKind, SnoozeRequest, stalled_since};
use domain::alert::watch::END_DAYS;
use domain::id::{TeamId, UserId};
use domain::json;
use domain::time::DAY_MS;
use domain::time::UnixMs;
use serde::Deserialize;
use worker::D1Result;

const EXPIRES_SOON_MS: i64 = 14 * DAY_MS;
/// The time for which webhook ids are kept; Clerk repeats a webhook for some days.
const WEBHOOKS_KEPT_MS: i64 = 30 * DAY_MS;
/// The time for which a token's past secrets can be seen.
const SECRETS_KEPT_MS: i64 = 90 * DAY_MS;
const RESOLVED_KEPT_MS: i64 = 30 * DAY_MS;
/// The age, beyond [`SECRETS_KEPT_MS`], of the oldest revocations that are still searched. Tokens revoked earlier
/// have no secrets left, unless the cron was away for as long.
const REVOKED_LOOKED_AT_MS: i64 = 30 * DAY_MS;
/// The time after the last call for which a model is reported as unpriced.
const UNPRICED_KEPT_MS: i64 = 7 * DAY_MS;

/// Opens or renews a notification for each drift, and resolves those of subjects that are equal.
pub fn note_drift(
    db: &Db,
    drift: &[Drift],
    equal: &[String],
    now: UnixMs,
) -> Result<Vec<Statement>, StoreError> {
    Ok(vec![
        db.statement(sql!("drift_open"), params![&to_json(drift)?, now])?,
        db.statement(sql!("drift_resolve"), params![&to_json(equal)?, now])?,
    ])
}

pub async fn drift_count(db: &Db) -> Result<u32, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        entries: u32,
    }
    let row: Option<Row> = db.first(db.statement(sql!("drift_count"), &[])?).await?;
    Ok(row.map_or(0, |row| row.entries))
}

/// The notifications that a person sees at a time.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// JSON array of teams; `None` means all.
    pub teams: Option<&'a str>,
    /// Whether those that concern no team are seen.
    pub platform: bool,
    /// The person, who may have hidden some.
    pub by: &'a UserId,
    pub now: UnixMs,
    pub kinds: &'a [NotificationKind],
}

/// Lists open notifications, newest first. `after` is the time, kind and subject of the last one seen.
pub async fn notifications(
    db: &Db,
    Seen { teams, platform, by, now, kinds }: Seen<'_>,
    after: Option<(UnixMs, &str)>,
    limit: u32,
) -> Result<Vec<Notification>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        kind: NotificationKind,
        subject: String,
        team_id: Option<TeamId>,
        details: String,
        created_at: UnixMs,
        updated_at: UnixMs,
    }
    let (at, key) = after.unwrap_or((super::MAX_SAFE, ""));
    let statement = db.statement(
        sql!("notifications_list"),
        params![teams, platform, at, key, limit, &to_json(kinds)?, by.as_str(), now],
    )?;
    let rows: Vec<Row> = db.rows(statement).await?;
    let view = |row: Row| Notification {
        kind: row.kind,
        subject: row.subject,
        team_id: row.team_id,
        details: json::from_text(&row.details).unwrap_or_default(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Hides an open notification from a person until a time.
pub async fn snooze(db: &Db, by: &UserId, request: &SnoozeRequest, until: UnixMs) -> Result<(), StoreError> {
    let kind = request.kind.as_str();
    let values = params![by.as_str(), kind, &request.subject, request.opened_at, until];
    db.batch(vec![db.statement(sql!("notification_snooze"), values)?]).await?;
    Ok(())
}

/// News about usage.
#[derive(Debug)]
pub struct UsageNews {
    pub activity: Activity,
    lost: Lost,
}

impl UsageNews {
    pub async fn read(usage: &UsageDb, now: UnixMs) -> Result<Self, StoreError> {
        let activity = Activity::read(usage, now).await?;
        Ok(Self { activity, lost: usage_upkeep::lost(usage, now - DAY_MS).await? })
    }
}

/// Opens or renews the notification that raw calls were deleted for want of room. It stays for a day.
pub async fn note_shed(db: &Db, shed: u64, now: UnixMs) -> Result<(), StoreError> {
    let statement = if shed > 0 {
        let details = format!("{{\"calls\":{shed}}}");
        db.statement(sql!("notify"), params![NotificationKind::UsageShed.as_str(), "usage", &details, now])?
    } else {
        db.statement(sql!("notify_over"), params![NotificationKind::UsageShed.as_str(), now, now - DAY_MS])?
    };
    db.batch(vec![statement]).await?;
    Ok(())
}

/// Opens the notifications about usage that are due, and resolves those that are over. Returns the database's size in
/// bytes.
pub async fn notify_of_usage(db: &Db, news: &UsageNews, now: UnixMs) -> Result<u64, StoreError> {
    let UsageNews { activity, lost } = news;
    let results = db
        .batch(vec![
            db.statement(sql!("notify_failing"), params![now, &activity.failing(now)])?,
            db.statement(sql!("notify_failing_resolve"), params![now])?,
            db.statement(sql!("notify_losses"), params![now, lost.undecodable, lost.dropped])?,
            db.statement(sql!("notify_losses_resolve"), params![now])?,
        ])
        .await?;
    results.last().map_or(Ok(0), super::size_of)
}

/// Opens the other notifications that are due, and resolves those that are over. Runs `more` after that in the same
/// transaction, and returns the results of all.
pub async fn notify(db: &Db, more: Vec<Statement>, now: UnixMs) -> Result<Vec<D1Result>, StoreError> {
    let soon = now + EXPIRES_SOON_MS;
    let mut statements = vec![
        db.statement(sql!("notify_expiring"), params![now, soon, END_DAYS])?,
        db.statement(sql!("notify_expiring_resolve"), params![now, soon])?,
        db.statement(sql!("invitations_expire"), params![now])?,
        super::unattended::resolve(db, now)?,
    ];
    statements.extend(more);
    db.batch(statements).await
}

/// Deletes up to `limit` rows of each kind that are past their retention. The audit log loses its front, and the hash
/// before the cut is noted, so that the rest of the chain can still be verified.
pub async fn purge(db: &Db, now: UnixMs, audit_kept_ms: i64, limit: u32) -> Result<(), StoreError> {
    let mut statements = vec![
        db.statement(sql!("audit_cut"), params![now - audit_kept_ms, limit, now])?,
        db.statement(sql!("audit_purge"), &[])?,
        db.statement(sql!("webhooks_purge"), params![now - WEBHOOKS_KEPT_MS, limit])?,
        db.statement(sql!("notifications_purge"), params![now - RESOLVED_KEPT_MS, limit])?,
        db.statement(sql!("snoozes_purge"), params![now, limit])?,
        db.statement(sql!("idempotency_purge"), params![now - DAY_MS, limit])?,
    ];
    statements.extend(super::alerts::purge(db, now, limit)?);
    db.batch(statements).await?;
    Ok(())
}

/// Deletes up to `limit` ended secrets, secrets of revoked tokens and places of tokens each. Returns the largest number. It
/// reads all tokens revoked within [`REVOKED_LOOKED_AT_MS`] before the retention's end, and all places, so it runs once an
/// hour.
pub async fn purge_hourly(db: &Db, now: UnixMs, limit: u32) -> Result<usize, StoreError> {
    let before = now - SECRETS_KEPT_MS;
    let results = db
        .batch(vec![
            db.statement(sql!("secrets_purge"), params![before, limit])?,
            db.statement(
                sql!("secrets_purge_revoked"),
                params![before, before - REVOKED_LOOKED_AT_MS, limit],
            )?,
            super::watch::forget_places(db, now, limit)?,
        ])
        .await?;
    results.iter().try_fold(0, |most, result| Ok(most.max(super::changes_of(result)?)))
}

/// Returns the time at which [`purge_hourly`] last left nothing.
pub async fn purged_hourly_at(db: &Db) -> Result<Option<UnixMs>, StoreError> {
    Ok(settings::get(db, settings::SECRETS_PURGED).await?.map(|setting| setting.updated_at))
}

/// Notes that [`purge_hourly`] has left nothing.
pub async fn note_purged_hourly(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![settings::put(db, settings::SECRETS_PURGED, "true", now)?]).await?;
    Ok(())
}

/// Returns the time of the oldest unanswered heartbeat, as noted by the cron.
pub async fn waiting_since(db: &Db) -> Result<Option<UnixMs>, StoreError> {
    Ok(settings::get(db, settings::HEARTBEAT).await?.and_then(|setting| setting.value.parse().ok()))
}

/// Notes that a heartbeat is sent now, and opens or resolves the notification about earlier ones.
pub async fn note_heartbeat(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    let stored_at = settings::get(db, settings::QUEUE_LAG).await?.map(|lag| lag.updated_at);
    let is_open = |since: &UnixMs| stored_at.is_none_or(|at| at < *since);
    let since = waiting_since(db).await?.filter(is_open).unwrap_or(now);
    let bell = match stalled_since(since, stored_at, now) {
        Some(at) => db.statement(
            sql!("notify"),
            params![NotificationKind::QueueStalled.as_str(), "queue", &format!("{{\"since\":{at}}}"), now],
        )?,
        None => resolve(db, NotificationKind::QueueStalled, &["queue"], now)?,
    };
    db.batch(vec![settings::put(db, settings::HEARTBEAT, &since.to_string(), now)?, bell]).await?;
    Ok(())
}

/// Resolves open notifications of a kind by their subjects.
pub fn resolve(
    db: &Db,
    kind: NotificationKind,
    subjects: &[&str],
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("notify_resolve"), params![kind.as_str(), &to_json(subjects)?, now])
}

/// Resolves notifications about models that now have a price, and about those that nobody has called for
/// [`UNPRICED_KEPT_MS`].
pub async fn resolve_unpriced(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Row {
        subject: String,
        updated_at: UnixMs,
    }
    let rows: Vec<Row> = db.rows(db.statement(sql!("unpriced_open"), &[])?).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let (list, _) = prices::published(db, now).await?;
    let is_over = |row: &&Row| row.updated_at < now - UNPRICED_KEPT_MS || list.find(&row.subject).is_some();
    let over: Vec<&str> = rows.iter().filter(is_over).map(|row| row.subject.as_str()).collect();
    if !over.is_empty() {
        db.batch(vec![resolve(db, NotificationKind::ModelUnpriced, &over, now)?]).await?;
    }
    Ok(())
}
