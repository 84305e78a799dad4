//! Single values, JSON, by key.

use super::{Db, Statement, StoreError, params, sql};
use domain::time::{MINUTE_MS, UnixMs};
use serde::Deserialize;

/// The version of the published route table.
pub const ROUTES_VERSION: &str = "routes-version";
/// `true` once the earlier system's data has been imported.
pub const V1_IMPORTED: &str = "v1-imported";
/// How far the comparison of KV with D1 has come.
pub const RECONCILE: &str = "reconcile";
/// How old the oldest message of the consumer's last batch was, in ms.
pub const QUEUE_LAG: &str = "queue-lag";
/// When the oldest heartbeat was sent that the consumer has not answered; updated with each.
pub const HEARTBEAT: &str = "heartbeat";
/// Raw calls from before this time are, or are being, deleted.
pub const EVENTS_PURGED: &str = "events-purged";
/// Updated when all secrets that were past their time had been deleted.
pub const SECRETS_PURGED: &str = "secrets-purged";

/// The fingerprints of the keys that this Worker runs with, by the names of their secrets.
pub const KEYS: &str = "keys";
/// Since when each of those keys that come first has been the first.
pub const KEYS_SINCE: &str = "keys-since";
/// Held by the run of the cron that is at work.
pub const CRON_LEASE: &str = "cron-lease";

/// The longest that a run of the cron takes, should it die without giving its lease back.
const LEASE_MS: i64 = 3 * MINUTE_MS;

#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    /// JSON.
    pub value: String,
    pub updated_at: UnixMs,
}

pub async fn get(db: &Db, key: &str) -> Result<Option<Setting>, StoreError> {
    db.first(db.statement(sql!("setting_get"), params![key])?).await
}

/// Takes the lease `key` for `holder` until it is given back or [`LEASE_MS`] are over; whether it was free.
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
