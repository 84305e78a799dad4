//! Packed calls, and the texts of segments and their blocks: in the bucket `CALLS` if that is bound, otherwise in their
//! rows.
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
use worker::Range;

/// The text of a segment or a block, or the name of the object that holds it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Body {
    /// The segment's id.
    #[serde(alias = "segment")]
    pub id: i64,
    /// Number of the block; `None` if this is a segment without blocks.
    #[serde(default)]
    pub n: Option<u32>,
    pub object: Option<String>,
    /// The place of a block in the object, in bytes.
    #[serde(default)]
    start: u64,
    #[serde(default)]
    bytes: u64,
    #[serde(rename = "body")]
    text: String,
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
    if text.is_empty() { Ok(vec![]) } else { decode(&bytes_of(text).await?).map_err(unreadable) }
}

/// Returns the bytes of packed calls.
pub async fn bytes_of(text: &str) -> Result<Vec<u8>, StoreError> {
    unpack(text).await.map_err(StoreError::Unreadable)
}

/// Wraps the error of stored JSON that cannot be read.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub fn unreadable(error: impl ToString) -> StoreError {
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

/// Reads a text; `None` if its object is gone: replaced meanwhile, expired, or the bucket is not bound any more.
pub async fn text_of(db: &UsageDb, body: Body) -> Result<Option<String>, StoreError> {
    let Some(name) = body.object else { return Ok(Some(body.text)) };
    let Some(bucket) = db.bucket() else { return Ok(None) };
    db.note_read();
    let mut get = bucket.get(name);
    if body.n.is_some() {
        get = get.range(Range::OffsetWithLength { offset: body.start, length: body.bytes });
    }
    let object = get.execute().await?;
    match object.as_ref().and_then(worker::Object::body) {
        Some(found) => Ok(Some(found.text().await?)),
        None => Ok(None),
    }
}

/// Reads the calls of a text; `None` if it is gone.
pub async fn read(db: &UsageDb, body: Body) -> Result<Option<Vec<RawCall>>, StoreError> {
    match text_of(db, body).await? {
        Some(text) => unpacked(&text).await.map(Some),
        None => Ok(None),
    }
}
