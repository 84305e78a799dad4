//! Tokens, their secrets, and what was answered under an `Idempotency-Key`.

use super::{Db, Param, Statement, StoreError, json_column, params, sql, to_json};
use domain::api::tokens::{NewToken, SecretView, StateFilter, TokenSort, TokenView};
use domain::id::{TeamId, TokenId, UserId};
use domain::kv::TokenState;
use domain::role::Grant;
use domain::scope::Scope;
use domain::time::UnixMs;
use domain::token::{TokenHash, TokenHint, TokenSecret};
use serde::Deserialize;

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

impl From<TokenRow> for TokenView {
    fn from(row: TokenRow) -> Self {
        Self {
            state: state_of(row.disabled_at, row.revoked_at),
            hint: row.hint_start.zip(row.hint_end).map(|(start, end)| TokenHint { start, end }),
            id: row.id,
            name: row.name,
            team_id: row.team_id,
            description: row.description,
            scopes: json_column(&row.scopes),
            ip_allow: json_column(&row.ip_allow),
            expires_at: row.expires_at,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_used_at: row.last_used_at,
            version: row.version,
        }
    }
}

pub async fn get(db: &Db, id: &str) -> Result<Option<TokenView>, StoreError> {
    let row: Option<TokenRow> = db.first(db.statement(sql!("token_get"), params![id])?).await?;
    Ok(row.map(TokenView::from))
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
    Ok(rows.into_iter().map(TokenView::from).collect())
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

pub fn change_state(
    db: &Db,
    _: &Grant,
    id: &TokenId,
    change: StateChange,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let sql = match change {
        StateChange::Disable => sql!("token_disable"),
        StateChange::Enable => sql!("token_enable"),
        StateChange::Revoke => sql!("token_revoke"),
    };
    db.statement(sql, params![id.as_str(), now])
}

/// Counts a change of the token's secrets.
pub fn touch(db: &Db, _: &Grant, id: &TokenId, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("token_touch"), params![id.as_str(), now])
}

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

pub fn end_secrets(db: &Db, _: &Grant, token: &TokenId, at: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("secrets_end"), params![token.as_str(), at])
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
    pub expires_at: Option<UnixMs>,
    disabled_at: Option<UnixMs>,
    revoked_at: Option<UnixMs>,
    /// Of the secret.
    pub ends_at: Option<UnixMs>,
}

impl Holder {
    pub fn state(&self) -> TokenState {
        state_of(self.disabled_at, self.revoked_at)
    }
}

pub async fn find_by_secret(db: &Db, hash: &TokenHash) -> Result<Option<Holder>, StoreError> {
    db.first(db.statement(sql!("secret_find"), params![hash.as_str()])?).await
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

pub fn insert_answered(
    db: &Db,
    grant: &Grant,
    idempotency: &Idempotency,
    token: &TokenId,
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
        ],
    )
}
