//! `/api/tokens`

mod change;
mod explain;
mod limits;
mod secret;

pub use change::{disable, enable, extend, revoke, update};
pub use explain::explain;
pub use limits::get as get_limits;
pub use secret::{create, end_secrets, list_secrets, rotate};

use crate::db::tokens::{self as store, ListFilter};
use crate::db::{Db, Param, StoreError, outbox};
use crate::error::Failure;
use crate::handlers::visible_teams;
use crate::paging::{Cursor, check_limit, page};
use crate::publish::Subject as Published;
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond, respond_versioned};
use contract::Page;
use contract::Propagation;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::tokens::{FindTokenRequest, FoundToken, TokenQuery, TokenSort, TokenView};
use domain::access::record::TokenState;
use domain::access::scope::{Scope, is_within_cap};
use domain::error::FieldError;
use domain::id::TokenId;
use domain::people::grant::{ChangeToken, Grant};
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::{Clash, Invalid};

/// `GET /api/tokens`
pub async fn list(call: &Call, asked: Asked<TokenQuery>) -> Answer<Page<TokenView>> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let sort = query.sort.unwrap_or_default();
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match (&cursor, sort) {
        (None, _) => None,
        (Some(Cursor::Time(at, id)), TokenSort::NewestFirst | TokenSort::OldestFirst) => {
            Some((Param::Integer(*at), id.as_str()))
        }
        (Some(Cursor::Text(name, id)), TokenSort::Name | TokenSort::NameDescending) => {
            Some((Param::Text(name), id.as_str()))
        }
        (Some(_), _) => return Err(Failure::field("cursor", Invalid::OtherSort)),
    };
    let teams = visible_teams(caller, query.team_id.as_ref())?;
    let filter = ListFilter {
        teams: teams.as_deref(),
        search: query.search.as_deref(),
        state: query.state,
        sort,
        now: call.now,
        after,
        limit: limit + 1,
    };
    let db = call.db()?;
    let items = store::list(&db, &filter).await?;
    let cursor_of = |token: &TokenView| match sort {
        TokenSort::NewestFirst | TokenSort::OldestFirst => {
            Cursor::Time(token.created_at, token.id.to_string())
        }
        TokenSort::Name | TokenSort::NameDescending => Cursor::Text(token.name.clone(), token.id.to_string()),
    };
    let mut page = page(items, limit, cursor_of);
    page.total = match page.only(query.cursor.is_none()) {
        None => Some(store::count(&db, &filter).await?),
        only => only,
    };
    respond(page)
}

/// `GET /api/tokens/{id}`
pub async fn get(call: &Call, _: Asked<()>) -> Answer<TokenView> {
    let caller = call.caller()?;
    let token = find(call, &call.db()?, caller).await?;
    respond_versioned(token.version, token)
}

/// `POST /api/tokens/find`
pub async fn find_by_hash(call: &Call, asked: Asked<FindTokenRequest>) -> Answer<FoundToken> {
    let caller = call.caller()?;
    let request = asked.read(call)?;
    let db = call.db()?;
    let token = match store::find_by_secret(&db, &request.hash).await? {
        Some(holder) => store::get(&db, holder.id.as_str()).await?,
        None => None,
    };
    // As if there were none: a hash says nothing about tokens that the caller may not see.
    let is_seen =
        |token: &TokenView| authorize(caller, Action::ReadToken, Subject::team(&token.team_id)).is_ok();
    respond(FoundToken { token: token.filter(is_seen) })
}

/// Finds the token that the path names, if the caller may see it.
async fn find(call: &Call, db: &Db, caller: &Caller) -> Result<TokenView, Failure> {
    let token = store::get(db, call.id()).await?.ok_or(ApiError::NotFound)?;
    authorize(caller, Action::ReadToken, Subject::team(&token.team_id))?;
    Ok(token)
}

/// Finds the token that the path names, with permission to change it.
async fn find_to_change(
    call: &Call,
    db: &Db,
    caller: &Caller,
    deed: Deed,
) -> Result<(TokenView, Grant<ChangeToken>), Failure> {
    let token = store::get(db, call.id()).await?.ok_or(ApiError::NotFound)?;
    // Owning a token is not enough to enable it again after somebody else has disabled it.
    let is_undoing = deed == Deed::EnableToken && token.disabled_by.as_ref() != Some(&caller.user);
    let owner = token.created_by.as_ref().filter(|_| !is_undoing);
    let subject = Subject::owned(&token.team_id, owner);
    let grant = call.authorize(caller, subject, attempt(deed, &token))?;
    Ok((token, grant))
}

fn attempt(deed: Deed, token: &TokenView) -> Attempt<'_> {
    Attempt { deed, id: Some(token.id.as_str()), team: Some(token.team_id.as_str()) }
}

fn refuse_revoked(token: &TokenView) -> Result<(), Failure> {
    match token.state {
        TokenState::Revoked => Err(Failure::conflict("state", Clash::TokenRevoked)),
        TokenState::Active | TokenState::Disabled => Ok(()),
    }
}

/// Checks that each scope is within one of the cap's scopes.
fn check_cap(cap: Option<&[Scope]>, scopes: &[Scope]) -> Result<(), Failure> {
    let outside = |(i, scope): (usize, &Scope)| {
        (!is_within_cap(scope, cap)).then(|| FieldError::new(format!("scopes.{i}"), Invalid::OutsideCap))
    };
    let errors: Vec<FieldError> = scopes.iter().enumerate().filter_map(outside).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}

/// Returns the propagation of a token that this call did not change.
async fn propagation_of(db: &Db, id: &TokenId) -> Result<Propagation, StoreError> {
    let is_pending = outbox::is_pending(db, &Published::Token(id.clone())).await?;
    Ok(if is_pending { Propagation::Pending } else { Propagation::Published })
}
