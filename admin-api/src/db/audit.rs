//! The audit log: one row for each change, and one for each refused attempt.

use super::{Db, Statement, StoreError, params, sql, to_json};
use domain::time::UnixMs;
use edge::crypto::random;
use serde_json::Value;

/// One entry. `before` and `after` hold what people may see; a secret is never among it.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub at: UnixMs,
    pub actor: &'a str,
    /// Kebab-case, such as `create-token`.
    pub action: &'a str,
    pub refused: bool,
    pub entity: &'a str,
    pub entity_id: Option<&'a str>,
    pub team: Option<&'a str>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub client_ip: Option<&'a str>,
    pub request_id: &'a str,
}

/// The entry's row, whatever else is in the batch.
pub fn insert(db: &Db, entry: &Entry) -> Result<Statement, StoreError> {
    statement(db, sql!("audit_insert"), entry)
}

/// The entry's row, if the statement before it changed something.
pub fn insert_if_changed(db: &Db, entry: &Entry) -> Result<Statement, StoreError> {
    statement(db, sql!("audit_insert_if_changed"), entry)
}

fn statement(db: &Db, sql: &str, entry: &Entry) -> Result<Statement, StoreError> {
    let id = new_id("aud_")?;
    let before = entry.before.as_ref().map(to_json).transpose()?;
    let after = entry.after.as_ref().map(to_json).transpose()?;
    db.statement(
        sql,
        params![
            &id,
            entry.at,
            entry.actor,
            entry.action,
            if entry.refused { "refused" } else { "done" },
            entry.entity,
            entry.entity_id,
            entry.team,
            before.as_ref(),
            after.as_ref(),
            entry.client_ip,
            entry.request_id,
        ],
    )
}

/// A new id from the platform's CSPRNG.
pub fn new_id(prefix: &str) -> Result<String, StoreError> {
    let random = random::<18>().map_err(|e| StoreError::Value(e.to_string()))?;
    Ok(domain::id::mint(prefix, random))
}
