//! Notifications, and what the comparison of KV with D1 found.

use super::{Db, Statement, StoreError, from_json, params, sql, to_json};
use domain::api::upkeep::{Drift, Notification, NotificationKind};
use domain::id::TeamId;
use domain::span::HOURLY_KEPT_MS;
use domain::time::UnixMs;
use domain::time::{DAY_MS, HOUR_MS};
use serde::Deserialize;

const EXPIRES_SOON_MS: i64 = 14 * DAY_MS;
/// Clerk repeats a webhook for some days.
const WEBHOOKS_KEPT_MS: i64 = 30 * DAY_MS;
/// How long one can see which secrets a token had.
const SECRETS_KEPT_MS: i64 = 90 * DAY_MS;
const RESOLVED_KEPT_MS: i64 = 30 * DAY_MS;

/// Opens or renews a notification for each drift, and resolves those of the subjects that are equal.
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

/// Open notifications, newest first: those of `teams` (JSON, `None` is all) and, for `platform`,
/// those that concern no team. `after` is time, kind and subject of the last one seen.
pub async fn notifications(
    db: &Db,
    teams: Option<&str>,
    platform: bool,
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
    let statement = db.statement(sql!("notifications_list"), params![teams, platform, at, key, limit])?;
    let rows: Vec<Row> = db.rows(statement).await?;
    let view = |row: Row| {
        Ok(Notification {
            kind: row.kind,
            subject: row.subject,
            team_id: row.team_id,
            details: from_json(&row.details)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    };
    rows.into_iter().map(view).collect()
}

/// Writes what the bell is to show, and resolves what is over.
pub async fn notify(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    let soon = now + EXPIRES_SOON_MS;
    db.batch(vec![
        db.statement(sql!("notify_expiring"), params![now, soon])?,
        db.statement(sql!("notify_expiring_resolve"), params![now, soon])?,
        db.statement(sql!("notify_failing"), params![now, now - HOUR_MS])?,
        db.statement(sql!("notify_failing_resolve"), params![now])?,
        db.statement(sql!("notify_losses"), params![now, now - DAY_MS])?,
        db.statement(sql!("notify_losses_resolve"), params![now])?,
        db.statement(sql!("invitations_expire"), params![now])?,
        super::unattended::resolve(db, now)?,
    ])
    .await?;
    Ok(())
}

/// Deletes, of each kind, up to `limit` rows that are past their time.
pub async fn purge(db: &Db, now: UnixMs, audit_kept_ms: i64, limit: u32) -> Result<(), StoreError> {
    db.batch(vec![
        db.statement(sql!("audit_purge"), params![now - audit_kept_ms, limit])?,
        db.statement(sql!("webhooks_purge"), params![now - WEBHOOKS_KEPT_MS, limit])?,
        db.statement(sql!("losses_purge"), params![now - HOURLY_KEPT_MS, limit])?,
        db.statement(sql!("secrets_purge"), params![now - SECRETS_KEPT_MS, limit])?,
        db.statement(sql!("notifications_purge"), params![now - RESOLVED_KEPT_MS])?,
        db.statement(sql!("idempotency_purge"), params![now - DAY_MS])?,
    ])
    .await?;
    Ok(())
}
