//! Packed calls, and the texts of segments: in the bucket `CALLS` if that is bound, otherwise in their rows.
//!
//! An object is named by its digest and written before the transaction that names it, so a death in between leaves an
//! object that nothing names, never a row without its object. The bucket's own rule deletes what is old, replaced objects
//! too: a search may still read them, and so does a database that was set back.

use crate::db::{StoreError, UsageDb};
use domain::usage::segment::{RawCall, decode, encode};
use edge::deflate::{pack, unpack};
use edge::log::{Source, log};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The text of a segment, or the name of the object that holds it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Body {
    pub id: i64,
    pub object: Option<String>,
    /// The version of the state when it was read.
    #[serde(default)]
    pub version: i64,
    #[serde(rename = "body")]
    pub text: String,
}

/// Packs calls as the database keeps them; none are ''.
pub async fn packed(calls: &[RawCall]) -> Result<String, StoreError> {
    if calls.is_empty() {
        return Ok(String::new());
    }
    let bytes = encode(calls).map_err(|error| StoreError::Value(error.to_string()))?;
    pack(&bytes).await.map_err(StoreError::Value)
}

/// Reads packed calls.
pub async fn unpacked(text: &str) -> Result<Vec<RawCall>, StoreError> {
    if text.is_empty() {
        return Ok(vec![]);
    }
    let bytes = unpack(text).await.map_err(StoreError::Unreadable)?;
    decode(&bytes).map_err(unreadable)
}

/// Wraps the error of stored JSON that cannot be read.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

/// Puts a text where it belongs. Returns the object's name, if it has one, and what its row keeps.
pub async fn put(db: &UsageDb, text: String) -> Result<(Option<String>, String), StoreError> {
    let Some(bucket) = db.bucket() else { return Ok((None, text)) };
    let digest = Sha256::digest(text.as_bytes());
    let name: String = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(hex).collect();
    match bucket.put(&name, text.clone()).execute().await {
        Ok(_) => Ok((Some(name), String::new())),
        // A bucket that fails must not stop the fold.
        Err(error) => {
            log(Source::Isolate, "calls kept in the database", &error.to_string());
            Ok((None, text))
        }
    }
}

fn hex(digit: u8) -> Option<char> {
    char::from_digit(digit.into(), 16)
}

/// Reads the calls of a segment; `None` if its object is gone: replaced meanwhile, expired, or the bucket is not bound
/// any more.
pub async fn read(db: &UsageDb, body: &Body) -> Result<Option<Vec<RawCall>>, StoreError> {
    let Some(name) = &body.object else { return unpacked(&body.text).await.map(Some) };
    let object = match db.bucket() {
        Some(bucket) => {
            db.note_read();
            bucket.get(name).execute().await?
        }
        None => None,
    };
    match object.as_ref().and_then(worker::Object::body) {
        Some(found) => unpacked(&found.text().await?).await.map(Some),
        None => Ok(None),
    }
}
