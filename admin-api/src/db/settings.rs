//! Single values, JSON, by key.

use super::{Db, Statement, StoreError, params, sql};
use domain::time::UnixMs;
use serde::Deserialize;

/// The version of the published route table.
pub const ROUTES_VERSION: &str = "routes-version";
/// `true` once the earlier system's data has been imported.
pub const V1_IMPORTED: &str = "v1-imported";
/// How far the comparison of KV with D1 has come.
pub const RECONCILE: &str = "reconcile";
/// How old the oldest message of the consumer's last batch was, in ms.
pub const QUEUE_LAG: &str = "queue-lag";

/// The fingerprints of the keys that this Worker runs with, by the names of their secrets.
pub const KEYS: &str = "keys";
/// Since when each of those keys that come first has been the first.
pub const KEYS_SINCE: &str = "keys-since";

#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    /// JSON.
    pub value: String,
    pub updated_at: UnixMs,
}

pub async fn get(db: &Db, key: &str) -> Result<Option<Setting>, StoreError> {
    db.first(db.statement(sql!("setting_get"), params![key])?).await
}

pub fn put(db: &Db, key: &str, value: &str, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("setting_put"), params![key, value, now])
}
