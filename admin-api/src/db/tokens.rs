//! Tokens.

mod published;
mod secrets;

pub use published::{PublishedToken, published, slice, unknown_secrets, versions};
pub use secrets::{
    Holder, Idempotency, SecretRow, end_other_secrets, find_answered, find_by_secret, has_legacy_secrets,
    insert_answered, insert_secret, secrets,
};

use super::limits;
use super::{
    Db, Param, Statement, StoreError, column_or_note, json_column, params, refuse_unreadable, sql, to_json,
};
use contract::tokens::{NewToken, StateFilter, TokenSort, TokenView};
use domain::access::record::TokenState;
use domain::access::scope::Scope;
use domain::id::{TeamId, TokenId, UserId};
use domain::limit::Limits;
use domain::people::grant::{ChangeToken, CreateToken, Grant, SetScopeCap};
use domain::time::UnixMs;
use domain::token::TokenHint;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
struct TokenRow {
    id: TokenId,
    name: String,
    team_id: TeamId,
    description: Option<String>,
    scopes: String,
    ip_allow: String,
    limits: Option<String>,
    inject_faults: u8,
    may_derive: u8,
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

impl From<TokenRow> for TokenView {
    /// Notes an allow-list or limits that cannot be read. [`update`] then refuses to write them back
    /// as empty, which would allow anything.
    fn from(row: TokenRow) -> Self {
        let mut unreadable = vec![];
        Self {
            state: state_of(row.disabled_at, row.revoked_at),
            hint: row.hint_start.zip(row.hint_end).map(|(start, end)| TokenHint { start, end }),
            id: row.id,
            name: row.name,
            team_id: row.team_id,
            description: row.description,
            scopes: column_or_note(&row.scopes, "scopes", &mut unreadable),
            ip_allow: column_or_note(&row.ip_allow, "ip_allow", &mut unreadable),
            limits: column_or_note(row.limits.as_deref().unwrap_or("{}"), "limits", &mut unreadable),
            unreadable,
            inject_faults: row.inject_faults == 1,
            may_derive: row.may_derive == 1,
            expires_at: row.expires_at,
            disabled_by: row.disabled_by,
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

/// The tokens to list, and the position to start from.
#[derive(Debug)]
pub struct ListFilter<'a> {
    /// JSON array; `None` means all.
    pub teams: Option<&'a str>,
    pub search: Option<&'a str>,
    pub state: Option<StateFilter>,
    pub sort: TokenSort,
    pub now: UnixMs,
    /// Sort value and id of the last row seen.
    pub after: Option<(Param<'a>, &'a str)>,
    pub limit: u32,
}

/// Returns a name that sorts after every other: names have at most 255 characters.
fn last_name() -> String {
    "\u{10FFFF}".repeat(256)
}

pub async fn list(db: &Db, filter: &ListFilter<'_>) -> Result<Vec<TokenView>, StoreError> {
    let last_name = last_name();
    let start = match filter.sort {
        TokenSort::NewestFirst => Param::Integer(super::MAX_SAFE),
        TokenSort::OldestFirst => Param::Integer(-1),
        TokenSort::Name => Param::Text(""),
        TokenSort::NameDescending => Param::Text(&last_name),
    };
    // The index over all tokens would also read every other team's tokens.
    let sql = match (filter.sort, filter.teams.is_some()) {
        (TokenSort::NewestFirst, false) => sql!("tokens_list_newest"),
        (TokenSort::NewestFirst, true) => sql!("tokens_of_teams_newest"),
        (TokenSort::OldestFirst, false) => sql!("tokens_list_oldest"),
        (TokenSort::OldestFirst, true) => sql!("tokens_of_teams_oldest"),
        (TokenSort::Name, false) => sql!("tokens_list_name"),
        (TokenSort::Name, true) => sql!("tokens_of_teams_name"),
        (TokenSort::NameDescending, false) => sql!("tokens_list_name_descending"),
        (TokenSort::NameDescending, true) => sql!("tokens_of_teams_name_descending"),
    };
    let state = filter.state.map(name_of);
    let (value, id) = filter.after.unwrap_or((start, ""));
    let statement =
        db.statement(sql, params![filter.teams, filter.search, state, filter.now, value, id, filter.limit])?;
    let rows: Vec<TokenRow> = db.rows(statement).await?;
    Ok(rows.into_iter().map(TokenView::from).collect())
}

fn name_of(state: StateFilter) -> &'static str {
    match state {
        StateFilter::Active => "active",
        StateFilter::Disabled => "disabled",
        StateFilter::Revoked => "revoked",
        StateFilter::Expired => "expired",
    }
}

/// Counts the tokens on all pages of a list.
pub async fn count(db: &Db, filter: &ListFilter<'_>) -> Result<u64, StoreError> {
    let state = filter.state.map(name_of);
    db.count(db.statement(sql!("tokens_count"), params![filter.teams, filter.search, state, filter.now])?)
        .await
}

/// A team's bounds for its tokens.
#[derive(Debug)]
pub struct TeamBounds {
    /// The team's scope cap; `None` means no cap.
    pub cap: Option<Vec<Scope>>,
    /// Default limits: each applies to tokens that do not set that limit themselves.
    pub limits: Limits,
}

/// Reads a team's bounds; `Ok(None)` if there is no such team.
/// Reads the current names of tokens: `ids` is JSON.
pub async fn names(db: &Db, ids: &str) -> Result<BTreeMap<String, String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
        name: String,
    }
    let rows: Vec<Row> = db.rows(db.statement(sql!("token_names"), params![ids])?).await?;
    Ok(domain::collect::map(rows.into_iter().map(|row| (row.id, row.name))))
}

pub async fn team_bounds(db: &Db, team: &TeamId) -> Result<Option<TeamBounds>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        scope_cap: Option<String>,
        limits: Option<String>,
    }
    let row: Option<Row> = db.first(db.statement(sql!("team_get"), params![team.as_str()])?).await?;
    let bounds = |row: Row| {
        Ok(TeamBounds {
            cap: row.scope_cap.map(|text| json_column(&text)),
            limits: limits::read(row.limits.as_deref())?,
        })
    };
    row.map(bounds).transpose()
}

pub fn insert(
    db: &Db,
    grant: &Grant<CreateToken>,
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
            limits::write(&token.limits)?.as_ref(),
            token.inject_faults,
            token.may_derive,
            token.expires_at,
            grant.actor().as_str(),
            now,
        ],
    )
}

/// Writes the view's fields if the token still has the same version.
pub fn update(
    db: &Db,
    _: &Grant<ChangeToken>,
    token: &TokenView,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    refuse_unreadable(&token.unreadable)?;
    db.statement(
        sql!("token_update"),
        params![
            token.id.as_str(),
            &token.name,
            token.description.as_ref(),
            &to_json(&token.scopes)?,
            &to_json(&token.ip_allow)?,
            limits::write(&token.limits)?.as_ref(),
            token.inject_faults,
            token.may_derive,
            token.expires_at,
            now,
            token.version,
        ],
    )
}

/// A change of state, with its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange<'a> {
    Disable {
        /// Whether the caller takes over from the person who disabled the token before.
        takes_over: bool,
    },
    Enable {
        /// The person who had disabled it when permission was given.
        disabled_by: Option<&'a UserId>,
    },
    Revoke,
}

/// Changes the token's state; if the caller made a `version` a condition, only at that version.
pub fn change_state(
    db: &Db,
    grant: &Grant<ChangeToken>,
    id: &TokenId,
    change: StateChange<'_>,
    version: Option<u64>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let (id, actor) = (id.as_str(), grant.actor().as_str());
    match change {
        StateChange::Disable { takes_over } => {
            db.statement(sql!("token_disable"), params![id, now, version, actor, takes_over])
        }
        StateChange::Enable { disabled_by } => {
            db.statement(sql!("token_enable"), params![id, now, version, disabled_by.map(UserId::as_str)])
        }
        StateChange::Revoke => db.statement(sql!("token_revoke"), params![id, now, version]),
    }
}

/// Increments the token's version for a change of its secrets.
pub fn touch(
    db: &Db,
    _: &Grant<ChangeToken>,
    id: &TokenId,
    version: Option<u64>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("token_touch"), params![id.as_str(), now, version])
}

/// Increments the version of every usable token of a team, if the statement before it changed something.
pub fn touch_team(
    db: &Db,
    _: &Grant<SetScopeCap>,
    team: &TeamId,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("tokens_touch_team"), params![team.as_str(), now])
}
