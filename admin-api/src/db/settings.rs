//! Single JSON values, by key.

use super::{Db, Statement, StoreError, params, sql};
use domain::time::{MINUTE_MS, UnixMs};
use serde::Deserialize;

/// The version of the published route table.
pub const ROUTES_VERSION: &str = "routes-version";
/// `true` once the earlier system's data has been imported.
pub const V1_IMPORTED: &str = "v1-imported";
/// The progress of the comparison of KV with D1.
pub const RECONCILE: &str = "reconcile";
/// The age of the oldest message in the consumer's last batch, in ms.
pub const QUEUE_LAG: &str = "queue-lag";
/// The time at which the oldest unanswered heartbeat was sent; updated with each heartbeat.
pub const HEARTBEAT: &str = "heartbeat";
/// Updated when all secrets past their retention have been deleted.
pub const SECRETS_PURGED: &str = "secrets-purged";

/// The fingerprints of the keys that this Worker runs with, by the names of their secrets.
pub const KEYS: &str = "keys";
/// The time at which each current first key became the first.
pub const KEYS_SINCE: &str = "keys-since";
/// The lease that the current run of the cron holds.
pub const CRON_LEASE: &str = "cron-lease";

/// The canary's token.
pub const CANARY: &str = "canary";
/// The canary's last run.
pub const CANARY_RUN: &str = "canary-run";
/// The canary's first call that is in usage, of the newest run.
pub const CANARY_USAGE: &str = "canary-usage";
/// The lease that the current run of the canary holds.
pub const CANARY_LEASE: &str = "canary-lease";

/// The time after which a lease ends, in case a run of the cron dies without giving it back.
const LEASE_MS: i64 = 3 * MINUTE_MS;

#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    /// The value, as JSON.
    pub value: String,
    pub updated_at: UnixMs,
}

pub async fn get(db: &Db, key: &str) -> Result<Option<Setting>, StoreError> {
    db.first(db.statement(sql!("setting_get"), params![key])?).await
}

/// Takes the lease `key` for `holder` until it is given back or [`LEASE_MS`] have passed. Returns whether it was
/// free.
pub async fn lease(db: &Db, key: &str, holder: &str, now: UnixMs) -> Result<bool, StoreError> {
    db.change(vec![db.statement(sql!("lease_take"), params![key, holder, now, now - LEASE_MS])?]).await
}

pub async fn give_back(db: &Db, key: &str, holder: &str) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("lease_give_back"), params![key, holder])?]).await?;
    Ok(())
}

pub fn put(db: &Db, key: &str, value: &str, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("setting_put"), params![key, value, now])
}
