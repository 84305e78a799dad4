//! The keys under which credentials, and receivers of channels, are sealed.

use super::audit::new_id;
use super::{Db, StoreError, params, sql, to_json};
use domain::id::RouteId;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
pub struct Credential {
    pub route_id: RouteId,
    pub origin: String,
    pub sealed: String,
}

/// A credential, or the receiver of a channel, that waits to be sealed again.
#[derive(Debug, Deserialize)]
pub struct Older {
    /// Id of the route or the channel.
    pub id: String,
    /// The origin that a credential is bound to.
    pub origin: Option<String>,
    pub sealed: String,
}

/// It was sealed again; without `sealed`, no key opens it.
#[derive(Debug, Serialize)]
pub struct Resealed {
    pub id: String,
    pub was: String,
    pub sealed: Option<String>,
}

/// Reads all credentials.
pub async fn all(db: &Db) -> Result<Vec<Credential>, StoreError> {
    db.rows(db.statement(sql!("credentials_sealed"), &[])?).await
}

/// Finds at most `limit` credentials and receivers that are sealed under another key than `key`.
pub async fn under_others(db: &Db, key: &str, limit: u32) -> Result<Vec<Older>, StoreError> {
    db.rows(db.statement(sql!("credentials_under_others"), params![key, limit])?).await
}

/// Stores what was sealed again under `key`, and has the route table published with it. What no key opens is marked, so
/// that it is not tried again until there is another key.
pub async fn put(db: &Db, key: &str, resealed: &[Resealed], now: UnixMs) -> Result<(), StoreError> {
    let resealed = to_json(resealed)?;
    let mut statements = Vec::new();
    for sql in
        [sql!("channels_lost"), sql!("credentials_lost"), sql!("channels_reseal"), sql!("credentials_reseal")]
    {
        statements.push(db.statement(sql, params![&resealed, key])?);
    }
    // Only if a credential was sealed again.
    statements.push(db.statement(sql!("routes_version_bump"), params![now])?);
    statements.push(db.statement(sql!("outbox_insert_routes"), params![&new_id("obx_")?, now])?);
    db.batch(statements).await?;
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
