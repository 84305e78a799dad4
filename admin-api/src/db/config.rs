//! Items that were made by applying a configuration.

use super::{Db, Statement, StoreError, params, sql};
use contract::audit::Entity;
use domain::time::UnixMs;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Made {
    pub kind: String,
    pub entity_id: String,
}

pub async fn made(db: &Db) -> Result<Vec<Made>, StoreError> {
    db.rows(db.statement(sql!("config_made_list"), &[])?).await
}

/// Notes that an apply has made something, if the statement before it changed anything.
pub fn insert_made(db: &Db, entity: Entity, id: &str, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("config_made_insert"), params![entity.as_str(), id, now])
}
