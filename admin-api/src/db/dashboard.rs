//! Counts for the first page.

use super::usage::report;
use super::{Db, StoreError, UsageDb, params, rows_of, sql, to_json};
use contract::dashboard::{Counts, Created, Expiring, TeamTokens};
use domain::id::TeamId;
use domain::time::{DAY_MS, UnixMs};

const SOON_MS: i64 = 30 * DAY_MS;
const SHOWN_EXPIRING: u32 = 20;

/// Counts the records of `teams`; `None` means all.
pub async fn counts(
    db: &Db,
    usage: &UsageDb,
    teams: Option<&[TeamId]>,
    now: UnixMs,
) -> Result<Counts, StoreError> {
    let json = teams.map(to_json).transpose()?;
    let counts: Option<Counts> = db.first(db.statement(sql!("counts"), params![json.as_ref(), now])?).await?;
    Ok(Counts { calls: report::calls(usage, teams).await?, ..counts.unwrap_or_default() })
}

/// Figures about tokens on the first page.
#[derive(Debug, Default)]
pub struct Tokens {
    pub created: Vec<Created>,
    pub by_team: Vec<TeamTokens>,
    pub expiring: Vec<Expiring>,
}

pub async fn tokens(db: &Db, teams: Option<&str>, now: UnixMs) -> Result<Tokens, StoreError> {
    let results = db
        .batch(vec![
            db.statement(sql!("tokens_created"), params![teams, now - SOON_MS])?,
            db.statement(sql!("tokens_by_team"), params![teams])?,
            db.statement(sql!("tokens_expiring"), params![teams, now, now + SOON_MS, SHOWN_EXPIRING])?,
        ])
        .await?;
    let mut results = results.iter();
    Ok(Tokens {
        created: results.next().map(rows_of).transpose()?.unwrap_or_default(),
        by_team: results.next().map(rows_of).transpose()?.unwrap_or_default(),
        expiring: results.next().map(rows_of).transpose()?.unwrap_or_default(),
    })
}
