//! The keys under which credentials are sealed.

use super::audit::new_id;
use super::{Db, StoreError, changes_of, params, sql, to_json};
use domain::id::RouteId;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
pub struct Credential {
    pub route_id: RouteId,
    pub origin: String,
    pub sealed: String,
}

/// Credentials that were sealed again.
#[derive(Debug, Serialize)]
pub struct Resealed {
    pub route_id: RouteId,
    pub was: String,
    pub sealed: String,
}

/// Credentials that no key opens.
#[derive(Debug, Serialize)]
pub struct Lost {
    pub route_id: RouteId,
    pub was: String,
}

/// Reads all credentials.
pub async fn all(db: &Db) -> Result<Vec<Credential>, StoreError> {
    db.rows(db.statement(sql!("credentials_sealed"), &[])?).await
}

/// Finds at most `limit` credentials that are sealed under another key than `key`.
pub async fn under_others(db: &Db, key: &str, limit: u32) -> Result<Vec<Credential>, StoreError> {
    db.rows(db.statement(sql!("credentials_under_others"), params![key, limit])?).await
}

/// Stores credentials that were sealed again under `key`, and has the route table published with them. Returns
/// their number.
pub async fn put(db: &Db, key: &str, resealed: &[Resealed], now: UnixMs) -> Result<usize, StoreError> {
    let results = db
        .batch(vec![
            db.statement(sql!("credentials_reseal"), params![&to_json(resealed)?, key])?,
            db.statement(sql!("routes_version_bump"), params![now])?,
            db.statement(sql!("outbox_insert_routes"), params![&new_id("obx_")?, now])?,
        ])
        .await?;
    results.first().map_or(Ok(0), changes_of)
}

/// Marks credentials that no key opens, so that they are not tried again until there is another key.
pub async fn note_lost(db: &Db, key: &str, lost: &[Lost]) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("credentials_lost"), params![&to_json(lost)?, key])?]).await?;
    Ok(())
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Seals {
    /// Sealed under an older key, and to be sealed again.
    pub older: u32,
    /// Sealed under a key that no longer exists.
    pub lost: u32,
}

pub async fn count(db: &Db, key: &str) -> Result<Seals, StoreError> {
    Ok(db.first(db.statement(sql!("credentials_seals"), params![key])?).await?.unwrap_or_default())
}
