//! The limits of a token and of its team.

use super::{Db, StoreError, from_json, params, sql, to_json};
use domain::id::TokenId;
use domain::limit::Limits;
use serde::Deserialize;

/// Reads a column of limits; NULL means none. An unreadable value is an error: read as none, it would allow
/// anything.
pub fn read(column: Option<&str>) -> Result<Limits, StoreError> {
    column.map_or_else(|| Ok(Limits::default()), from_json)
}

pub fn write(limits: &Limits) -> Result<Option<String>, StoreError> {
    if limits.is_empty() { Ok(None) } else { to_json(limits).map(Some) }
}

/// Returns the limits in force for a token.
pub async fn in_force(db: &Db, token: &TokenId) -> Result<Option<Limits>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        limits: Option<String>,
        team_limits: Option<String>,
    }
    let row: Option<Row> = db.first(db.statement(sql!("token_limits"), params![token.as_str()])?).await?;
    row.map(|row| Ok(read(row.limits.as_deref())?.or(&read(row.team_limits.as_deref())?))).transpose()
}
