//! Live tokens whose maker may not change them any more: who is to look after them is told.

use super::{Db, Statement, StoreError, params, sql, to_json};
use domain::id::{TeamId, TokenId, UserId};
use domain::time::UnixMs;
use serde::Deserialize;

/// The teams in which a person loses the permission to change the tokens that they made.
#[derive(Clone, Copy, Debug)]
pub enum Lost<'a> {
    /// In these teams.
    Teams(&'a [&'a TeamId]),
    /// In every team in which they have no role of their own.
    Platform,
    /// They are gone. Belongs before the statement that takes their memberships.
    Everything,
}

/// Tells of a person's live tokens, after their roles changed.
pub fn open(db: &Db, person: &UserId, lost: Lost, now: UnixMs) -> Result<Statement, StoreError> {
    let (teams, is_everywhere) = match lost {
        Lost::Teams(teams) => (Some(to_json(teams)?), false),
        Lost::Platform => (Some("[]".to_owned()), true),
        Lost::Everything => (None, false),
    };
    let params = params![person.as_str(), now, teams.as_ref(), is_everywhere];
    db.statement(sql!("unattended_open"), params)
}

/// Follows a change of a token by somebody who may change it.
pub fn changed(db: &Db, token: &TokenId, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("unattended_changed"), params![token.as_str(), now])
}

/// Resolves those of tokens that have ended, or whose makers may change them again.
pub fn resolve(db: &Db, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("unattended_resolve"), params![now])
}

/// The number of live tokens that a person made in `teams`.
pub async fn count(db: &Db, person: &UserId, teams: &[&TeamId], now: UnixMs) -> Result<u32, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        tokens: u32,
    }
    let statement = db.statement(sql!("tokens_made_by"), params![person.as_str(), &to_json(teams)?, now])?;
    let row: Option<Row> = db.first(statement).await?;
    Ok(row.map_or(0, |row| row.tokens))
}
