//! Notifications about live tokens whose maker may no longer change them, for the people who should look after them.

use super::{Db, Statement, StoreError, params, sql, to_json};
use domain::id::{TeamId, TokenId, UserId};
use domain::time::UnixMs;
use serde::Deserialize;

/// The teams in which a person loses the permission to change the tokens that they made.
#[derive(Clone, Copy, Debug)]
pub enum Lost<'a> {
    /// They lose it in these teams.
    Teams(&'a [&'a TeamId]),
    /// They lose it in every team in which they have no role of their own.
    Platform,
    /// They are deleted. The statement belongs before the one that removes their memberships.
    Everything,
}

/// Opens notifications for a person's live tokens, after their roles changed.
pub fn open(db: &Db, person: &UserId, lost: Lost, now: UnixMs) -> Result<Statement, StoreError> {
    let (teams, is_everywhere) = match lost {
        Lost::Teams(teams) => (Some(to_json(teams)?), false),
        Lost::Platform => (Some("[]".to_owned()), true),
        Lost::Everything => (None, false),
    };
    let params = params![person.as_str(), now, teams.as_ref(), is_everywhere];
    db.statement(sql!("unattended_open"), params)
}

/// Resolves a token's notification after somebody who may change it has changed it.
pub fn changed(db: &Db, token: &TokenId, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("unattended_changed"), params![token.as_str(), now])
}

/// Resolves the notifications of tokens that have expired, or whose makers may change them again.
pub fn resolve(db: &Db, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("unattended_resolve"), params![now])
}

/// Counts the live tokens that a person made in `teams`.
pub async fn count(db: &Db, person: &UserId, teams: &[&TeamId], now: UnixMs) -> Result<u32, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        tokens: u32,
    }
    let statement = db.statement(sql!("tokens_made_by"), params![person.as_str(), &to_json(teams)?, now])?;
    let row: Option<Row> = db.first(statement).await?;
    Ok(row.map_or(0, |row| row.tokens))
}
