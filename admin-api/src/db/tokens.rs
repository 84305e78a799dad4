//! Tokens, their secrets, and what was answered under an `Idempotency-Key`.

use super::{Db, Param, Statement, StoreError, from_json, json_column, params, rows_of, sql, to_json};
use domain::api::tokens::{NewToken, SecretView, StateFilter, TokenSort, TokenView};
use domain::id::{TeamId, TokenId, UserId};
use domain::kv::TokenState;
use domain::role::Grant;
use domain::scope::Scope;
use domain::time::{DAY_MS, UnixMs};
use domain::token::{TokenHash, TokenHint, TokenSecret};
use ipnet::IpNet;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Debug, Deserialize)]
struct TokenRow {
    id: TokenId,
    name: String,
    team_id: TeamId,
    description: Option<String>,
    scopes: String,
    ip_allow: String,
    expires_at: Option<UnixMs>,
    disabled_at: Option<UnixMs>,
    disabled_by: Option<UserId>,
    revoked_at: Option<UnixMs>,
    created_by: Option<UserId>,
    created_at: UnixMs,
    updated_at: UnixMs,
    last_used_at: Option<UnixMs>,
    version: u64,
    hint_start: Option<String>,
    hint_end: Option<String>,
}

fn state_of(disabled_at: Option<UnixMs>, revoked_at: Option<UnixMs>) -> TokenState {
    match (revoked_at, disabled_at) {
        (Some(_), _) => TokenState::Revoked,
        (None, Some(_)) => TokenState::Disabled,
        (None, None) => TokenState::Active,
    }
}

impl TryFrom<TokenRow> for TokenView {
    type Error = StoreError;

    /// An allow-list that cannot be read is an error: taken for empty it would allow any address, and
    /// be written back so.
    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        Ok(Self {
            state: state_of(row.disabled_at, row.revoked_at),
            hint: row.hint_start.zip(row.hint_end).map(|(start, end)| TokenHint { start, end }),
            id: row.id,
            name: row.name,
            team_id: row.team_id,
            description: row.description,
            scopes: json_column(&row.scopes),
            ip_allow: from_json(&row.ip_allow)?,
            expires_at: row.expires_at,
            disabled_by: row.disabled_by,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_used_at: row.last_used_at,
            version: row.version,
        })
    }
}

pub async fn get(db: &Db, id: &str) -> Result<Option<TokenView>, StoreError> {
    let row: Option<TokenRow> = db.first(db.statement(sql!("token_get"), params![id])?).await?;
    row.map(TokenView::try_from).transpose()
}

/// Which tokens, and from where on.
#[derive(Debug)]
pub struct ListFilter<'a> {
    /// JSON array; `None` is all.
    pub teams: Option<&'a str>,
    pub search: Option<&'a str>,
    pub state: Option<StateFilter>,
    pub sort: TokenSort,
    pub now: UnixMs,
    /// Sort value and id of the last row seen.
    pub after: Option<(Param<'a>, &'a str)>,
    pub limit: u32,
}

/// A name that sorts after every other: names have at most 255 characters.
fn last_name() -> String {
    "\u{10FFFF}".repeat(256)
}

pub async fn list(db: &Db, filter: &ListFilter<'_>) -> Result<Vec<TokenView>, StoreError> {
    let last_name = last_name();
    let (sql, start) = match filter.sort {
        TokenSort::NewestFirst => (sql!("tokens_list_newest"), Param::Integer(super::MAX_SAFE)),
        TokenSort::OldestFirst => (sql!("tokens_list_oldest"), Param::Integer(-1)),
        TokenSort::Name => (sql!("tokens_list_name"), Param::Text("")),
        TokenSort::NameDescending => (sql!("tokens_list_name_descending"), Param::Text(&last_name)),
    };
    let state = filter.state.map(|state| match state {
        StateFilter::Active => "active",
        StateFilter::Disabled => "disabled",
        StateFilter::Revoked => "revoked",
        StateFilter::Expired => "expired",
    });
    let (value, id) = filter.after.unwrap_or((start, ""));
    let statement =
        db.statement(sql, params![filter.teams, filter.search, state, filter.now, value, id, filter.limit])?;
    let rows: Vec<TokenRow> = db.rows(statement).await?;
    rows.into_iter().map(TokenView::try_from).collect()
}

/// The scopes that bound those of the team's tokens; `Ok(None)` where there is no such team.
pub async fn scope_cap(db: &Db, team: &TeamId) -> Result<Option<ScopeCap>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        scope_cap: Option<String>,
    }
    let row: Option<Row> = db.first(db.statement(sql!("team_get"), params![team.as_str()])?).await?;
    Ok(row.map(|row| ScopeCap(row.scope_cap.map(|text| json_column(&text)))))
}

/// `None` inside is no bound; an empty list admits nothing.
#[derive(Debug)]
pub struct ScopeCap(Option<Vec<Scope>>);

impl ScopeCap {
    pub fn admits(&self, scope: &Scope) -> bool {
        self.0.as_ref().is_none_or(|cap| cap.iter().any(|wide| wide.contains(scope)))
    }
}

pub fn insert(
    db: &Db,
    grant: &Grant,
    id: &TokenId,
    token: &NewToken,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(
        sql!("token_insert"),
        params![
            id.as_str(),
            &token.name,
            token.team.as_str(),
            token.description.as_ref(),
            &to_json(&token.scopes)?,
            &to_json(&token.ip_allow)?,
            token.expires_at,
            grant.actor().as_str(),
            now,
        ],
    )
}

/// Writes the view's fields where the token is still at its version.
pub fn update(db: &Db, _: &Grant, token: &TokenView, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(
        sql!("token_update"),
        params![
            token.id.as_str(),
            &token.name,
            token.description.as_ref(),
            &to_json(&token.scopes)?,
            &to_json(&token.ip_allow)?,
            token.expires_at,
            now,
            token.version,
        ],
    )
}

/// A change of state, all of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange {
    Disable,
    Enable,
    Revoke,
}

/// `version` is the one that the caller made a condition.
pub fn change_state(
    db: &Db,
    grant: &Grant,
    id: &TokenId,
    change: StateChange,
    version: Option<u64>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let (id, actor) = (id.as_str(), grant.actor().as_str());
    match change {
        StateChange::Disable => db.statement(sql!("token_disable"), params![id, now, version, actor]),
        StateChange::Enable => db.statement(sql!("token_enable"), params![id, now, version]),
        StateChange::Revoke => db.statement(sql!("token_revoke"), params![id, now, version]),
    }
}

/// Counts a change of the token's secrets.
pub fn touch(
    db: &Db,
    _: &Grant,
    id: &TokenId,
    version: Option<u64>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("token_touch"), params![id.as_str(), now, version])
}

/// The same for every token of a team that can be used, if the statement before it changed something.
pub fn touch_team(db: &Db, _: &Grant, team: &TeamId, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("tokens_touch_team"), params![team.as_str(), now])
}

/// A new secret, if the statement before it changed something.
pub fn insert_secret(
    db: &Db,
    _: &Grant,
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

/// Gives all secrets but `new` an end, if that is there.
pub fn end_other_secrets(
    db: &Db,
    _: &Grant,
    token: &TokenId,
    new: &TokenSecret,
    at: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("secrets_end"), params![token.as_str(), at, new.hash().as_str()])
}

/// What KV is to be told of a token.
#[derive(Clone, Debug)]
pub struct PublishedToken {
    pub id: TokenId,
    pub name: String,
    pub team_id: TeamId,
    pub scopes: Vec<String>,
    /// The team's; `None` is no bound.
    pub scope_cap: Option<Vec<Scope>>,
    /// JSON.
    pub ip_allow: String,
    pub expires_at: Option<UnixMs>,
    pub state: TokenState,
    pub version: u64,
    pub updated_at: UnixMs,
    /// Those that have not ended long ago, with their ends.
    pub secrets: Vec<(TokenHash, Option<UnixMs>)>,
}

/// Tokens (`ids` as JSON) with their secrets and caps, out of one transaction.
pub async fn published(db: &Db, ids: &str, now: UnixMs) -> Result<Vec<PublishedToken>, StoreError> {
    #[derive(Deserialize)]
    struct Token {
        id: TokenId,
        name: String,
        team_id: TeamId,
        scopes: String,
        ip_allow: String,
        expires_at: Option<UnixMs>,
        disabled_at: Option<UnixMs>,
        revoked_at: Option<UnixMs>,
        version: u64,
        updated_at: UnixMs,
        scope_cap: Option<String>,
    }
    #[derive(Deserialize)]
    struct Secret {
        token_id: TokenId,
        hash: TokenHash,
        ends_at: Option<UnixMs>,
    }
    let results = db
        .batch(vec![
            db.statement(sql!("tokens_published"), params![ids])?,
            db.statement(sql!("secrets_published"), params![ids, now - DAY_MS])?,
        ])
        .await?;
    let mut results = results.iter();
    let tokens: Vec<Token> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let rows: Vec<Secret> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let mut secrets: BTreeMap<TokenId, Vec<(TokenHash, Option<UnixMs>)>> = BTreeMap::new();
    for row in rows {
        secrets.entry(row.token_id).or_default().push((row.hash, row.ends_at));
    }
    let token = |row: Token| PublishedToken {
        secrets: secrets.remove(&row.id).unwrap_or_default(),
        state: state_of(row.disabled_at, row.revoked_at),
        scopes: json_column(&row.scopes),
        scope_cap: row.scope_cap.map(|text| json_column(&text)),
        id: row.id,
        name: row.name,
        team_id: row.team_id,
        ip_allow: row.ip_allow,
        expires_at: row.expires_at,
        version: row.version,
        updated_at: row.updated_at,
    };
    Ok(tokens.into_iter().map(token).collect())
}

#[derive(Debug, Deserialize)]
struct Version {
    id: TokenId,
    version: u64,
}

/// The present versions of tokens (`ids` as JSON).
pub async fn versions(db: &Db, ids: &str) -> Result<Vec<(TokenId, u64)>, StoreError> {
    let rows: Vec<Version> = db.rows(db.statement(sql!("tokens_versions"), params![ids])?).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.version)).collect())
}

#[derive(Debug, Deserialize)]
struct Id {
    id: TokenId,
}

/// Up to `limit` tokens after `after`, in the order of their ids.
pub async fn slice(db: &Db, after: &str, limit: u32) -> Result<Vec<TokenId>, StoreError> {
    let rows: Vec<Id> = db.rows(db.statement(sql!("tokens_slice"), params![after, limit])?).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Up to `limit` tokens that changed in a time.
pub async fn changed_between(
    db: &Db,
    from: UnixMs,
    to: UnixMs,
    limit: u32,
) -> Result<Vec<TokenId>, StoreError> {
    let rows: Vec<Id> = db.rows(db.statement(sql!("tokens_recent"), params![from, to, limit])?).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Which of the hashes belong to no token.
pub async fn unknown_secrets(db: &Db, hashes: &[TokenHash]) -> Result<Vec<TokenHash>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        hash: TokenHash,
    }
    let texts: Vec<&str> = hashes.iter().map(TokenHash::as_str).collect();
    let rows: Vec<Row> = db.rows(db.statement(sql!("secrets_unknown"), params![&to_json(&texts)?])?).await?;
    Ok(rows.into_iter().map(|row| row.hash).collect())
}

#[derive(Debug, Deserialize)]
pub struct SecretRow {
    pub hash: TokenHash,
    hint_start: String,
    hint_end: String,
    legacy: u8,
    created_at: UnixMs,
    pub ends_at: Option<UnixMs>,
}

impl From<SecretRow> for SecretView {
    fn from(row: SecretRow) -> Self {
        Self {
            hint: TokenHint { start: row.hint_start, end: row.hint_end },
            created_at: row.created_at,
            ends_at: row.ends_at,
            legacy: row.legacy == 1,
        }
    }
}

/// Newest first.
pub async fn secrets(db: &Db, token: &str) -> Result<Vec<SecretRow>, StoreError> {
    db.rows(db.statement(sql!("secrets_list"), params![token])?).await
}

/// A token as one of its secrets finds it.
#[derive(Debug, Deserialize)]
pub struct Holder {
    pub id: TokenId,
    pub name: String,
    pub team_id: TeamId,
    /// JSON.
    ip_allow: String,
    pub expires_at: Option<UnixMs>,
    disabled_at: Option<UnixMs>,
    revoked_at: Option<UnixMs>,
    /// Of the secret.
    pub ends_at: Option<UnixMs>,
}

impl Holder {
    /// Whether its holder may be at `client_ip`; as at the gateway an allow-list refuses an address
    /// that is not known, and one that cannot be read refuses any.
    pub fn allows(&self, client_ip: Option<IpAddr>) -> bool {
        let Ok(networks) = serde_json::from_str::<Vec<IpNet>>(&self.ip_allow) else { return false };
        networks.is_empty()
            || client_ip.is_some_and(|ip| networks.iter().any(|network| network.contains(&ip.to_canonical())))
    }

    pub fn state(&self) -> TokenState {
        state_of(self.disabled_at, self.revoked_at)
    }
}

pub async fn find_by_secret(db: &Db, hash: &TokenHash) -> Result<Option<Holder>, StoreError> {
    db.first(db.statement(sql!("secret_find"), params![hash.as_str()])?).await
}

/// Whether there is any secret of the earlier form.
pub async fn has_legacy_secrets(db: &Db) -> Result<bool, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        legacy: u8,
    }
    let row: Option<Row> = db.first(db.statement(sql!("secrets_legacy_exist"), &[])?).await?;
    Ok(row.is_some_and(|row| row.legacy == 1))
}

/// What an `Idempotency-Key` stands for: same actor, same endpoint, same key.
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

/// Kept if `secret`, which the request made, is there.
pub fn insert_answered(
    db: &Db,
    grant: &Grant,
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
