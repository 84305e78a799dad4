//! Tokens as they are published to KV and compared with it.

use super::state_of;
use crate::db::canary;
use crate::db::{Db, ReadRow, StoreError, each_row_of, json_column, params, sql, to_json};
use domain::access::record::TokenState;
use domain::access::scope::Scope;
use domain::collect;
use domain::id::{TeamId, TokenId};
use domain::time::{DAY_MS, UnixMs};
use domain::token::TokenHash;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A token's data for its entries in KV.
#[derive(Clone, Debug)]
pub struct PublishedToken {
    pub id: TokenId,
    pub name: String,
    pub team_id: TeamId,
    pub scopes: Vec<String>,
    /// The team's scope cap; `None` means no bound.
    pub scope_cap: Option<Vec<Scope>>,
    /// JSON array.
    pub ip_allow: String,
    /// JSON; `None` means none.
    pub limits: Option<String>,
    pub team_limits: Option<String>,
    pub team_budget: Option<String>,
    /// JSON; `None` is UTC.
    pub zone: Option<String>,
    pub inject_faults: bool,
    pub may_derive: bool,
    pub expires_at: Option<UnixMs>,
    pub state: TokenState,
    pub version: u64,
    pub updated_at: UnixMs,
    /// Its secrets, with their expiry; those that ended long ago are left out.
    pub secrets: Vec<(TokenHash, Option<UnixMs>)>,
}

#[derive(Deserialize)]
struct Token {
    id: TokenId,
    name: String,
    team_id: TeamId,
    scopes: String,
    ip_allow: String,
    limits: Option<String>,
    team_limits: Option<String>,
    team_budget: Option<String>,
    zone: Option<String>,
    inject_faults: u8,
    may_derive: u8,
    expires_at: Option<UnixMs>,
    disabled_at: Option<UnixMs>,
    revoked_at: Option<UnixMs>,
    version: u64,
    updated_at: UnixMs,
    scope_cap: Option<String>,
}

#[derive(Deserialize)]
struct Secret {
    hash: TokenHash,
    ends_at: Option<UnixMs>,
}

/// Reads tokens (`ids` as JSON) with their secrets and their teams' bounds, in one transaction. A token that cannot
/// be read is a separate error.
pub async fn published(
    db: &Db,
    ids: &str,
    now: UnixMs,
) -> Result<BTreeMap<TokenId, Result<PublishedToken, StoreError>>, StoreError> {
    let results = db
        .batch(vec![
            db.statement(sql!("tokens_published"), params![ids])?,
            db.statement(sql!("secrets_published"), params![ids, now - DAY_MS])?,
        ])
        .await?;
    let mut results = results.iter();
    let tokens = results.next().map(each_row_of::<Token>).transpose()?.unwrap_or_default();
    let secrets = results.next().map(each_row_of::<Secret>).transpose()?.unwrap_or_default();
    let text =
        |row: &Map<String, Value>, column: &str| row.get(column).and_then(Value::as_str).map(TokenId::from);
    let mut of: BTreeMap<TokenId, Vec<Result<Secret, StoreError>>> = BTreeMap::new();
    for (row, secret) in secrets {
        let Some(id) = text(&row, "token_id") else { continue };
        of.entry(id).or_default().push(secret);
    }
    let token = |(row, token): ReadRow<Token>| {
        let id = text(&row, "id")?;
        let secrets = of.remove(&id).unwrap_or_default();
        Some((id, token.and_then(|token| publishable(token, secrets))))
    };
    let canary = canary::published(db, ids).await?.map(|token| (token.id.clone(), Ok(token)));
    Ok(collect::map(tokens.into_iter().filter_map(token).chain(canary)))
}

fn publishable(row: Token, secrets: Vec<Result<Secret, StoreError>>) -> Result<PublishedToken, StoreError> {
    let secrets: Vec<Secret> = secrets.into_iter().collect::<Result<_, _>>()?;
    Ok(PublishedToken {
        secrets: secrets.into_iter().map(|secret| (secret.hash, secret.ends_at)).collect(),
        state: state_of(row.disabled_at, row.revoked_at),
        scopes: json_column(&row.scopes),
        scope_cap: row.scope_cap.map(|text| json_column(&text)),
        id: row.id,
        name: row.name,
        team_id: row.team_id,
        ip_allow: row.ip_allow,
        limits: row.limits,
        team_limits: row.team_limits,
        team_budget: row.team_budget,
        zone: row.zone,
        inject_faults: row.inject_faults == 1,
        may_derive: row.may_derive == 1,
        expires_at: row.expires_at,
        version: row.version,
        updated_at: row.updated_at,
    })
}

#[derive(Debug, Deserialize)]
struct Version {
    id: TokenId,
    version: u64,
}

/// Reads the current versions of tokens (`ids` as JSON).
pub async fn versions(db: &Db, ids: &str) -> Result<Vec<(TokenId, u64)>, StoreError> {
    let rows: Vec<Version> = db.rows(db.statement(sql!("tokens_versions"), params![ids])?).await?;
    let canary = canary::published(db, ids).await?.map(|token| (token.id, token.version));
    Ok(rows.into_iter().map(|row| (row.id, row.version)).chain(canary).collect())
}

#[derive(Debug, Deserialize)]
struct Id {
    id: TokenId,
}

/// Lists up to `limit` tokens after `after`, in the order of their ids.
pub async fn slice(db: &Db, after: &str, limit: u32) -> Result<Vec<TokenId>, StoreError> {
    let rows: Vec<Id> = db.rows(db.statement(sql!("tokens_slice"), params![after, limit])?).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Returns those of the hashes that belong to no token.
pub async fn unknown_secrets(db: &Db, hashes: &[TokenHash]) -> Result<Vec<TokenHash>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        hash: TokenHash,
    }
    let texts: Vec<&str> = hashes.iter().map(TokenHash::as_str).collect();
    let rows: Vec<Row> = db.rows(db.statement(sql!("secrets_unknown"), params![&to_json(&texts)?])?).await?;
    Ok(rows.into_iter().map(|row| row.hash).collect())
}
