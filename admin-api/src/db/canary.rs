//! The canary's token, its last run and the times of its runs.

use super::outbox;
use super::tokens::PublishedToken;
use super::upkeep::resolve;
use super::{Db, Statement, StoreError, from_json, params, settings, sql, to_json};
use crate::publish::{RowId, Subject};
use contract::upkeep::NotificationKind;
use domain::access::record::TokenState;
use domain::canary::{CANARY_ID, Hours, KEPT_MS, Run, SUBJECTS};
use domain::id::{CORE_TEAM, TeamId, TokenId};
use domain::time::{MINUTE_MS, UnixMs};
use domain::token::TokenHash;
use serde::{Deserialize, Serialize};

/// The time after which a token ends, in case its run dies before it is revoked.
const ENDS_AFTER_MS: i64 = 5 * MINUTE_MS;

/// Hours that a run deletes.
const PURGE_ROWS: u32 = 24;

/// The token of the last run, as a setting.
#[derive(Debug, Serialize, Deserialize)]
pub struct Token {
    hash: TokenHash,
    state: TokenState,
    version: u64,
    ends_at: UnixMs,
}

impl Token {
    /// Makes the token of a change. Its version is the time, so that it grows even if the database is restored.
    pub fn new(hash: TokenHash, state: TokenState, now: UnixMs) -> Self {
        Self { hash, state, version: u64::try_from(now).unwrap_or(0), ends_at: now + ENDS_AFTER_MS }
    }
}

/// Writes the token with an outbox row, as one transaction. It has no audit entry: it opens nothing, and nobody acts.
pub async fn change(db: &Db, token: &Token, now: UnixMs) -> Result<(Subject, RowId), StoreError> {
    let (subject, row, outbox) = outbox::insert_canary(db, now)?;
    db.batch(vec![settings::put(db, settings::CANARY, &to_json(token)?, now)?, outbox]).await?;
    Ok((subject, row))
}

async fn token(db: &Db) -> Result<Option<(Token, UnixMs)>, StoreError> {
    let Some(kept) = settings::get(db, settings::CANARY).await? else { return Ok(None) };
    Ok(Some((from_json(&kept.value)?, kept.updated_at)))
}

/// Reads the token as it is published; `None` if it is not one of `ids` (JSON).
pub async fn published(db: &Db, ids: &str) -> Result<Option<PublishedToken>, StoreError> {
    if !ids.contains(CANARY_ID) {
        return Ok(None);
    }
    let publishable = |(token, updated_at): (Token, UnixMs)| PublishedToken {
        id: TokenId::from(CANARY_ID),
        name: "canary".to_owned(),
        team_id: TeamId::from(CORE_TEAM),
        scopes: vec![],
        scope_cap: None,
        ip_allow: "[]".to_owned(),
        limits: None,
        team_limits: None,
        team_budget: None,
        zone: None,
        inject_faults: false,
        may_derive: false,
        expires_at: None,
        state: token.state,
        version: token.version,
        updated_at,
        secrets: vec![(token.hash, Some(token.ends_at))],
    };
    Ok(token(db).await?.map(publishable))
}

/// Reads the last run. One that this version cannot read counts as none.
pub async fn last(db: &Db) -> Result<Option<Run>, StoreError> {
    let kept = settings::get(db, settings::CANARY_RUN).await?;
    Ok(kept.and_then(|kept| from_json(&kept.value).ok()))
}

/// The first call of a run that is in usage.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// When the run began.
    pub run: UnixMs,
    /// When the gateway was called.
    pub called_at: UnixMs,
    /// When the call was stored.
    pub stored_at: UnixMs,
}

/// Notes that calls are in usage. Of a run the first note stays, and of several runs that of the newest.
pub async fn note_stored(db: &Db, stored: &Noted) -> Result<(), StoreError> {
    let text = to_json(stored)?;
    let values = params![settings::CANARY_USAGE, &text, stored.run];
    db.batch(vec![db.statement(sql!("canary_stored"), values)?]).await?;
    Ok(())
}

pub async fn stored(db: &Db) -> Result<Option<Noted>, StoreError> {
    let kept = settings::get(db, settings::CANARY_USAGE).await?;
    Ok(kept.and_then(|kept| from_json(&kept.value).ok()))
}

#[derive(Deserialize)]
struct Row {
    hour: UnixMs,
    figures: String,
}

/// Reads the times of the hours from `since` on. An hour that this version cannot read is left out.
pub async fn hours(db: &Db, since: UnixMs) -> Result<Vec<(UnixMs, Hours)>, StoreError> {
    let rows: Vec<Row> = db.rows(db.statement(sql!("canary_hours"), params![since])?).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.hour, from_json(&row.figures).ok()?))).collect())
}

/// Stores a run: as the last one, in the times of its hour, and in the bell.
pub async fn put(db: &Db, run: &Run, now: UnixMs) -> Result<(), StoreError> {
    let hour = Hours::of(run.at);
    let mut figures = hours(db, hour).await?.pop().filter(|(of, _)| *of == hour).unwrap_or_default().1;
    figures.add(run);
    let mut statements = vec![
        settings::put(db, settings::CANARY_RUN, &to_json(run)?, now)?,
        db.statement(sql!("canary_hour_put"), params![hour, &to_json(&figures)?])?,
        db.statement(sql!("canary_hours_purge"), params![hour - KEPT_MS, PURGE_ROWS])?,
    ];
    statements.extend(bell(db, run, now)?);
    db.batch(statements).await?;
    Ok(())
}

/// Opens or renews what the run has found, and resolves the rest.
fn bell(db: &Db, run: &Run, now: UnixMs) -> Result<Vec<Statement>, StoreError> {
    let found = run.findings();
    let kind = NotificationKind::Canary.as_str();
    let over: Vec<&str> =
        SUBJECTS.into_iter().filter(|subject| found.iter().all(|found| found.subject != *subject)).collect();
    let mut statements = vec![resolve(db, NotificationKind::Canary, &over, now)?];
    for finding in &found {
        statements
            .push(db.statement(sql!("notify"), params![kind, finding.subject, &to_json(finding)?, now])?);
    }
    Ok(statements)
}

/// Resolves what an earlier run has found: nothing is measured any more.
pub async fn switched_off(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![resolve(db, NotificationKind::Canary, &SUBJECTS, now)?]).await?;
    Ok(())
}
