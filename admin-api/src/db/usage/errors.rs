//! The vendors' words about failed calls: one row for each batch of the queue that has some.

use super::bodies::unreadable;
use crate::db::{Statement, StoreError, UsageDb, params, to_json, usage_sql};
use domain::id::TeamId;
use domain::json;
use domain::time::UnixMs;
use domain::usage::errors::{Errors, VendorError};
use edge::deflate::{pack, unpack};
use edge::log::{Source, log};
use serde::Deserialize;

/// The longest text of a row. A batch comes at most each three seconds, so a week has at most 200,000 rows: 3.3 GB of the
/// database's ten, if every vendor always tells something new.
const MAX_PACKED: usize = 16_384;
/// Rows that may hold a call's error: batches overlap by what came late.
const CANDIDATES: u32 = 50;

/// Makes the statement that stores the errors of the batch `id`. Those that do not fit are left out.
pub async fn put(db: &UsageDb, id: i64, errors: &Errors) -> Result<Statement, StoreError> {
    let mut errors = errors.clone();
    let mut packed = pack(to_json(&errors)?.as_bytes()).await.map_err(StoreError::Value)?;
    while packed.len() > MAX_PACKED && errors.halve() {
        packed = pack(to_json(&errors)?.as_bytes()).await.map_err(StoreError::Value)?;
    }
    let (since, until) = errors.times();
    db.statement(usage_sql!("errors_put"), params![id, since, until, &packed])
}

/// Finds what the vendor said about a team's call at the time `at`.
pub async fn find(
    db: &UsageDb,
    id: &str,
    team: &TeamId,
    at: UnixMs,
) -> Result<Option<VendorError>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        packed: String,
    }
    let rows: Vec<Row> = db.rows(db.statement(usage_sql!("errors_find"), params![at, CANDIDATES])?).await?;
    for Row { packed } in rows {
        match read(&packed).await {
            Ok(errors) => {
                if let Some(error) = errors.find(id, team) {
                    return Ok(Some(error.clone()));
                }
            }
            // It must not hide the call.
            Err(error) => log(Source::Isolate, "a vendor's words left out", &error.to_string()),
        }
    }
    Ok(None)
}

async fn read(packed: &str) -> Result<Errors, StoreError> {
    let bytes = unpack(packed).await.map_err(StoreError::Unreadable)?;
    json::from_bytes(&bytes).map_err(unreadable)
}
