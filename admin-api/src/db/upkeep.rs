//! Notifications, and what the comparison of KV with D1 found.

use super::{Db, Statement, StoreError, from_json, params, sql, to_json};
use domain::api::upkeep::{Drift, Notification, NotificationKind};
use domain::id::TeamId;
use domain::time::UnixMs;
use serde::Deserialize;

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
