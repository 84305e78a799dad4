//! The secrets of tokens: making, ending and finding them, and the results kept for an `Idempotency-Key`.

use super::state_of;
use crate::db::{Db, Statement, StoreError, params, sql};
use contract::tokens::SecretView;
use domain::access::network;
use domain::access::record::TokenState;
use domain::id::{TeamId, TokenId, UserId};
use domain::json;
use domain::people::grant::{ChangeToken, CreateToken, Grant};
use domain::time::UnixMs;
use domain::token::{TokenHash, TokenHint, TokenSecret};
use domain::usage::SECRET_HEAD;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::IpAddr;

/// An action that makes a secret.
pub trait MakesSecret {}
impl MakesSecret for CreateToken {}
impl MakesSecret for ChangeToken {}

/// Inserts a new secret if the statement before it changed something.
pub fn insert_secret(
    db: &Db,
    _: &Grant<impl MakesSecret>,
    token: &TokenId,
    secret: &TokenSecret,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let hint = secret.hint();
    db.statement(
        sql!("secret_insert"),
        params![secret.hash().as_str(), token.as_str(), &hint.start, &hint.end, now],
    )
}

/// Sets an expiry for all secrets except `newest`, if the statement before it changed something.
pub fn end_other_secrets(
    db: &Db,
    _: &Grant<ChangeToken>,
    token: &TokenId,
    newest: &TokenHash,
    at: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("secrets_end"), params![token.as_str(), at, newest.as_str()])
}

#[derive(Debug, Deserialize)]
pub struct SecretRow {
    pub hash: TokenHash,
    hint_start: String,
    hint_end: String,
    legacy: u8,
    created_at: UnixMs,
    pub ends_at: Option<UnixMs>,
    last_used_at: Option<UnixMs>,
}

impl SecretRow {
    pub fn hint(&self) -> TokenHint {
        TokenHint { start: self.hint_start.clone(), end: self.hint_end.clone() }
    }
}

impl From<SecretRow> for SecretView {
    fn from(row: SecretRow) -> Self {
        Self {
            id: row.hash.as_str().chars().take(SECRET_HEAD).collect(),
            hint: row.hint(),
            created_at: row.created_at,
            ends_at: row.ends_at,
            last_used_at: row.last_used_at,
            legacy: row.legacy == 1,
        }
    }
}

/// Lists a token's secrets, newest first.
pub async fn secrets(db: &Db, token: &str) -> Result<Vec<SecretRow>, StoreError> {
    db.rows(db.statement(sql!("secrets_list"), params![token])?).await
}

/// A token found by one of its secrets.
#[derive(Debug, Deserialize)]
pub struct Holder {
    pub id: TokenId,
    pub name: String,
    pub team_id: TeamId,
    /// JSON array.
    ip_allow: String,
    pub created_at: UnixMs,
    pub expires_at: Option<UnixMs>,
    disabled_at: Option<UnixMs>,
    revoked_at: Option<UnixMs>,
    /// Expiry of the secret, unix ms.
    pub ends_at: Option<UnixMs>,
}

impl Holder {
    /// Returns whether its holder may call from `client_ip`. As at the gateway, an allow-list refuses an unknown
    /// address, and an unreadable allow-list refuses every address.
    pub fn allows(&self, client_ip: Option<IpAddr>) -> bool {
        let Ok(networks) = json::from_text::<Vec<IpNet>>(&self.ip_allow) else { return false };
        networks.is_empty() || client_ip.is_some_and(|ip| network::contains(&networks, ip))
    }

    pub fn state(&self) -> TokenState {
        state_of(self.disabled_at, self.revoked_at)
    }
}

pub async fn find_by_secret(db: &Db, hash: &TokenHash) -> Result<Option<Holder>, StoreError> {
    db.first(db.statement(sql!("secret_find"), params![hash.as_str()])?).await
}

/// Returns whether there is any secret of the earlier form.
pub async fn has_legacy_secrets(db: &Db) -> Result<bool, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        legacy: u8,
    }
    let row: Option<Row> = db.first(db.statement(sql!("secrets_legacy_exist"), &[])?).await?;
    Ok(row.is_some_and(|row| row.legacy == 1))
}

/// The identity of an `Idempotency-Key`: actor, endpoint and key.
#[derive(Debug)]
pub struct Idempotency {
    pub endpoint: String,
    pub key: String,
    /// Hex SHA-256 of the request.
    pub digest: String,
}

#[derive(Debug, Deserialize)]
pub struct Answered {
    pub request_digest: String,
    pub entity_id: String,
}

pub async fn find_answered(
    db: &Db,
    actor: &UserId,
    idempotency: &Idempotency,
) -> Result<Option<Answered>, StoreError> {
    let params = params![actor.as_str(), &idempotency.endpoint, &idempotency.key];
    db.first(db.statement(sql!("idempotency_find"), params)?).await
}

/// Stores the key's result if `secret`, which the request made, exists.
pub fn insert_answered(
    db: &Db,
    grant: &Grant<impl MakesSecret>,
    idempotency: &Idempotency,
    token: &TokenId,
    secret: &TokenSecret,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(
        sql!("idempotency_insert"),
        params![
            grant.actor().as_str(),
            &idempotency.endpoint,
            &idempotency.key,
            &idempotency.digest,
            token.as_str(),
            now,
            secret.hash().as_str(),
        ],
    )
}
