//! Usage: intake, fold, reports and raw calls, in `USAGE_DB`; what tokens and models are known by, in `DB`.

pub mod activity;
mod bodies;
pub mod calls;
pub mod errors;
pub mod folding;
pub mod intake;
pub mod labels;
pub mod report;
pub mod upkeep;

use super::{Db, StoreError, params, sql};
use domain::time::UnixMs;

/// Notes when tokens and their secrets were last used, to within five minutes: a row for each call would cost as much as
/// the calls.
pub async fn note_last_uses(db: &Db, uses: &str) -> Result<(), StoreError> {
    db.batch(vec![
        db.statement(sql!("tokens_last_used"), params![uses])?,
        db.statement(sql!("secrets_last_used"), params![uses])?,
    ])
    .await?;
    Ok(())
}

/// Opens notifications about models that were called without a price: JSON of models and calls.
pub async fn note_unpriced(db: &Db, models: &str, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("notify_unpriced"), params![models, now])?]).await?;
    Ok(())
}
