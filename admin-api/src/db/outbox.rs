//! The outbox: what KV still has to be told.

use super::audit::new_id;
use super::{Db, Statement, StoreError, params, sql, to_json};
use crate::publish::{RowId, Subject, WRITER_LEASE_MS};
use domain::api::upkeep::PendingChange;
use domain::id::{TeamId, TokenId};
use domain::role::Grant;
use domain::time::UnixMs;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Row {
    pub id: String,
    pub kind: String,
    pub entity_id: String,
    pub attempts: u32,
}

/// A row for the change that the statement before it in the batch makes.
pub fn insert(db: &Db, _: &Grant, subject: &Subject, at: UnixMs) -> Result<(RowId, Statement), StoreError> {
    let id = new_id("obx_")?;
    let (kind, entity) = subject.key();
    let statement =
        db.statement(sql!("outbox_insert"), params![&id, kind, entity, at, at + WRITER_LEASE_MS])?;
    Ok((RowId(id), statement))
}

pub async fn claim(db: &Db, now: UnixMs, until: UnixMs, limit: u32) -> Result<Vec<Row>, StoreError> {
    db.rows(db.statement(sql!("outbox_claim"), params![now, until, limit])?).await
}

pub async fn fail(db: &Db, ids: &[RowId], retry_at: UnixMs, cause: &str) -> Result<(), StoreError> {
    let cause = domain::usage::clip(cause, 500);
    db.batch(vec![db.statement(sql!("outbox_fail"), params![&to_json(ids)?, retry_at, &cause])?]).await?;
    Ok(())
}

pub async fn done(db: &Db, ids: &[RowId]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    db.batch(vec![db.statement(sql!("outbox_done"), params![&to_json(ids)?])?]).await?;
    Ok(())
}

/// A row for each of `tokens`, for the cron to publish.
pub async fn insert_tokens(db: &Db, tokens: &[TokenId], now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("outbox_insert_tokens"), params![&to_json(tokens)?, now, now])?]).await?;
    Ok(())
}

/// A row for the route table, for the cron to publish.
pub async fn insert_routes(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("outbox_insert_routes"), params![&new_id("obx_")?, now])?]).await?;
    Ok(())
}

/// A row for each token of a team that can be used, if the statement before it in the batch changed
/// something.
pub fn insert_team(db: &Db, _: &Grant, team: &TeamId, at: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("outbox_insert_team"), params![team.as_str(), at, at + WRITER_LEASE_MS])
}

/// The oldest rows of a team's tokens.
pub async fn of_team(db: &Db, team: &TeamId, limit: u32) -> Result<Vec<Row>, StoreError> {
    db.rows(db.statement(sql!("outbox_of_team"), params![team.as_str(), limit])?).await
}

/// Which of the tokens have changes that KV has not taken.
pub async fn pending_of(db: &Db, tokens: &[TokenId]) -> Result<Vec<TokenId>, StoreError> {
    #[derive(Deserialize)]
    struct Id {
        id: TokenId,
    }
    let rows: Vec<Id> = db.rows(db.statement(sql!("outbox_pending_of"), params![&to_json(tokens)?])?).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Summary {
    pub pending: u32,
    pub oldest_at: Option<UnixMs>,
}

pub async fn summary(db: &Db) -> Result<Summary, StoreError> {
    Ok(db.first(db.statement(sql!("outbox_summary"), &[])?).await?.unwrap_or_default())
}

/// The oldest changes that KV has not taken.
pub async fn list(db: &Db, limit: u32) -> Result<Vec<PendingChange>, StoreError> {
    db.rows(db.statement(sql!("outbox_list"), params![limit])?).await
}

pub async fn is_pending(db: &Db, subject: &Subject) -> Result<bool, StoreError> {
    #[derive(Deserialize)]
    struct Count {
        pending: u32,
    }
    let (kind, entity) = subject.key();
    let count: Option<Count> = db.first(db.statement(sql!("outbox_pending"), params![kind, entity])?).await?;
    Ok(count.is_some_and(|c| c.pending > 0))
}
