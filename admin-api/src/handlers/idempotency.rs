//! `Idempotency-Key`: a repeat of a request gives the same token, without its secret.
//!
//! The secret is not kept, so a repeat cannot show it. Callers who lost the first response rotate the token.

use crate::db::Db;
use crate::db::tokens::{self, Idempotency};
use crate::error::Failure;
use crate::request::Call;
use contract::error::ApiError;
use contract::tokens::TokenView;
use domain::id::UserId;
use domain::problem::{Clash, Invalid};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Reads the key that came with the call, bound to the endpoint and to the request's body.
pub fn read(call: &Call, endpoint: String, body: &[u8]) -> Result<Option<Idempotency>, Failure> {
    let Some(key) = call.header("idempotency-key") else { return Ok(None) };
    if !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::field("idempotency-key", Invalid::VisibleAscii { most: 255 }));
    }
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(body) {
        // Writing to a String cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    Ok(Some(Idempotency { endpoint, key, digest }))
}

/// Finds the token that an earlier request under this key made.
pub async fn replay(
    db: &Db,
    actor: &UserId,
    idempotency: Option<&Idempotency>,
) -> Result<Option<TokenView>, Failure> {
    let Some(idempotency) = idempotency else { return Ok(None) };
    let Some(answered) = tokens::find_answered(db, actor, idempotency).await? else { return Ok(None) };
    if answered.request_digest != idempotency.digest {
        return Err(Failure::conflict("idempotency-key", Clash::KeyUsed));
    }
    let token = tokens::get(db, &answered.entity_id).await?;
    token.map(Some).ok_or_else(|| ApiError::NotFound.into())
}
