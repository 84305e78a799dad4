//! The outbox: what KV still has to be told.

use super::audit::new_id;
use super::{Db, Statement, StoreError, params, sql, to_json};
use crate::publish::{RowId, Subject, WRITER_LEASE_MS};
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
    db.batch(vec![db.statement(sql!("outbox_done"), params![&to_json(ids)?])?]).await?;
    Ok(())
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
