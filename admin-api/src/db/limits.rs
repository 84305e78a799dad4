//! The limits of a token and of its team, and the time zone in which they count.

use super::{Columns, Db, StoreError, from_json, params, sql, to_json};
use contract::teams::TeamZone;
use domain::id::{TeamId, TokenId};
use domain::limit::Limits;
use domain::limit::ledger::Zone;

/// Reads a column of limits; NULL means none. An unreadable value is an error: read as none, it would allow
/// anything.
pub fn read(column: Option<&str>) -> Result<Limits, StoreError> {
    column.map_or_else(|| Ok(Limits::default()), from_json)
}

pub fn write(limits: &Limits) -> Result<Option<String>, StoreError> {
    if limits.is_empty() { Ok(None) } else { to_json(limits).map(Some) }
}

/// The limits that bound a token.
#[derive(Clone, Debug)]
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

impl InForce {
    /// Reads the columns that [`in_force`] and `limits_of_tokens` name.
    pub fn of(row: &Columns) -> Result<Self, StoreError> {
        Ok(Self {
            limits: read(row.optional("limits"))?.or(&read(row.optional("team_limits"))?),
            team: row.text("team_id").into(),
            team_budget: read(row.optional("budget"))?,
            zone: read_zone(row.optional("zone"))?,
        })
    }
}

/// Returns the limits in force for a token.
pub async fn in_force(db: &Db, token: &TokenId) -> Result<Option<InForce>, StoreError> {
    let rows = db.columns(db.statement(sql!("token_limits"), params![token.as_str()])?).await?;
    rows.first().map(InForce::of).transpose()
}
