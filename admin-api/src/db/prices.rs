//! Prices of AI models.

use super::{Db, Statement, StoreError, params, sql};
use contract::prices::ModelPrice;
use domain::ai::price::{Price, PriceList};
use domain::people::grant::{Grant, SetPrices};
use domain::time::UnixMs;
use serde::Deserialize;

/// The most models in the published list, which is more than any vendor has.
const MOST: u32 = 10_000;

#[derive(Debug, Deserialize)]
struct Row {
    model: String,
    effective_at: UnixMs,
    prompt_micros: u64,
    completion_micros: u64,
    cached_micros: Option<u64>,
    cache_write_micros: Option<u64>,
    source: String,
}

impl From<Row> for ModelPrice {
    fn from(row: Row) -> Self {
        Self {
            model: row.model,
            price: Price {
                prompt: row.prompt_micros,
                completion: row.completion_micros,
                cached: row.cached_micros,
                cache_write: row.cache_write_micros,
            },
            source: row.source,
            effective_at: row.effective_at,
        }
    }
}

pub async fn list(
    db: &Db,
    now: UnixMs,
    search: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<ModelPrice>, StoreError> {
    let rows: Vec<Row> =
        db.rows(db.statement(sql!("prices_list"), params![now, search, after, limit])?).await?;
    Ok(rows.into_iter().map(ModelPrice::from).collect())
}

pub async fn get(db: &Db, model: &str, now: UnixMs) -> Result<Option<ModelPrice>, StoreError> {
    let row: Option<Row> = db.first(db.statement(sql!("price_get"), params![model, now])?).await?;
    Ok(row.map(ModelPrice::from))
}

pub fn put(db: &Db, _: &Grant<SetPrices>, price: &ModelPrice) -> Result<Statement, StoreError> {
    let Price { prompt, completion, cached, cache_write } = price.price;
    let params =
        params![&price.model, price.effective_at, prompt, completion, cached, cache_write, &price.source];
    db.statement(sql!("price_put"), params)
}

pub fn delete(db: &Db, _: &Grant<SetPrices>, model: &str) -> Result<Statement, StoreError> {
    db.statement(sql!("price_delete"), params![model])
}

/// Increments the published list's version if the statement before it changed a price.
pub fn bump(db: &Db, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("prices_version_bump"), params![now])
}

/// Notes that the first list was published.
pub async fn note_first(db: &Db, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("prices_first"), params![now])?]).await?;
    Ok(())
}

/// Reads the price list for KV, with its version. The version is read before the list, so that a change in
/// between is noticed.
pub async fn published(db: &Db, now: UnixMs) -> Result<(PriceList, u64), StoreError> {
    let version = version(db).await?;
    let prices = list(db, now, None, "", MOST).await?;
    let list = PriceList::new(prices.into_iter().map(|p| (p.model, p.price)));
    Ok((PriceList { version, ..list }, version))
}

pub async fn version(db: &Db) -> Result<u64, StoreError> {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    let row: Option<Version> = db.first(db.statement(sql!("prices_version"), &[])?).await?;
    Ok(row.map_or(0, |row| row.version))
}
