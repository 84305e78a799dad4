//! The limits of a token and of its team, and the time zone in which they count.

use super::{Db, StoreError, from_json, params, sql, to_json};
use contract::teams::TeamZone;
use domain::id::{TeamId, TokenId};
use domain::limit::Limits;
use domain::limit::ledger::Zone;
use serde::Deserialize;

/// Reads a column of limits; NULL means none. An unreadable value is an error: read as none, it would allow
/// anything.
pub fn read(column: Option<&str>) -> Result<Limits, StoreError> {
    column.map_or_else(|| Ok(Limits::default()), from_json)
}

pub fn write(limits: &Limits) -> Result<Option<String>, StoreError> {
    if limits.is_empty() { Ok(None) } else { to_json(limits).map(Some) }
}

/// The limits that bound a token.
#[derive(Debug)]
pub struct InForce {
    pub limits: Limits,
    pub team: TeamId,
    pub team_budget: Limits,
    pub zone: Zone,
}

/// Reads a column of a team's zone; NULL is UTC.
pub fn read_zone(column: Option<&str>) -> Result<Zone, StoreError> {
    let zone: Option<TeamZone> = column.map(from_json).transpose()?;
    Ok(zone.map(|zone| zone.rule).unwrap_or_default())
}

/// Returns the limits in force for a token.
pub async fn in_force(db: &Db, token: &TokenId) -> Result<Option<InForce>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        limits: Option<String>,
        team_limits: Option<String>,
        team_id: TeamId,
        budget: Option<String>,
        zone: Option<String>,
    }
    let row: Option<Row> = db.first(db.statement(sql!("token_limits"), params![token.as_str()])?).await?;
    let in_force = |row: Row| {
        Ok(InForce {
            limits: read(row.limits.as_deref())?.or(&read(row.team_limits.as_deref())?),
            team: row.team_id,
            team_budget: read(row.budget.as_deref())?,
            zone: read_zone(row.zone.as_deref())?,
        })
    };
    row.map(in_force).transpose()
}
