//! Counts for the first page.

use super::limits::{read, read_zone};
use super::usage::report;
use super::{Db, StoreError, UsageDb, params, rows_of, sql, to_json};
use contract::dashboard::{Counts, Created, Expiring, ExpiringInUse, TeamTokens};
use domain::id::{TeamId, TokenId};
use domain::limit::calendar::Bounded;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::report::{LineKey, Split};
use serde::Deserialize;

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

/// Tokens that called within this time may have used up a limit of the month.
const BOUNDED_MS: i64 = 31 * DAY_MS;
/// The most tokens, and the most teams, whose limits are looked at.
const MOST_BOUNDED: u32 = 500;
const IN_USE_MS: i64 = 30 * DAY_MS;
const EXPIRING_MS: i64 = 7 * DAY_MS;
const MOST_EXPIRING: u32 = 20;

/// The part of the first page that is about tokens and routes.
#[derive(Debug, Default)]
pub struct Kept {
    pub tokens: u32,
    pub routes: u32,
    pub expiring: Vec<ExpiringInUse>,
    /// Tokens and teams with limits, and their names.
    pub bounded: Vec<(String, Bounded)>,
}

/// Reads it for `teams`; `None` means all.
pub async fn kept(db: &Db, teams: Option<&str>, now: UnixMs) -> Result<Kept, StoreError> {
    #[derive(Deserialize)]
    struct Here {
        tokens: u32,
        routes: u32,
    }
    #[derive(Deserialize)]
    struct Token {
        id: TokenId,
        name: String,
        team_id: TeamId,
        limits: Option<String>,
        team_limits: Option<String>,
        zone: Option<String>,
    }
    #[derive(Deserialize)]
    struct Team {
        id: TeamId,
        name: String,
        budget: Option<String>,
        zone: Option<String>,
    }
    let until = now + EXPIRING_MS;
    let results = db
        .batch(vec![
            db.statement(sql!("counts_here"), params![teams])?,
            db.statement(
                sql!("tokens_expiring_in_use"),
                params![teams, now, until, now - IN_USE_MS, MOST_EXPIRING],
            )?,
            db.statement(sql!("budgets_tokens"), params![teams, now - BOUNDED_MS, now, MOST_BOUNDED])?,
            db.statement(sql!("budgets_teams"), params![teams, MOST_BOUNDED])?,
        ])
        .await?;
    let mut results = results.iter();
    let here: Vec<Here> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let expiring = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let tokens: Vec<Token> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let budgets: Vec<Team> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let of_token = |token: Token| {
        let limits = read(token.limits.as_deref())?.or(&read(token.team_limits.as_deref())?);
        let key = LineKey { id: token.id.to_string(), team: token.team_id.to_string() };
        let zone = read_zone(token.zone.as_deref())?;
        Ok((token.name, Bounded { split: Split::Token, key, limits, zone }))
    };
    let of_team = |team: Team| {
        let key = LineKey { id: team.id.to_string(), team: String::new() };
        let (limits, zone) = (read(team.budget.as_deref())?, read_zone(team.zone.as_deref())?);
        Ok((team.name, Bounded { split: Split::Team, key, limits, zone }))
    };
    let bounded = tokens.into_iter().map(of_token).chain(budgets.into_iter().map(of_team));
    Ok(Kept {
        tokens: here.first().map_or(0, |here| here.tokens),
        routes: here.first().map_or(0, |here| here.routes),
        expiring,
        bounded: bounded.collect::<Result<_, StoreError>>()?,
    })
}
