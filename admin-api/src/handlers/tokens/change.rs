//! Changes of a token other than its secrets.

use super::limits::check_change;
use super::{attempt, check_cap, find_to_change, propagation_of, refuse_revoked};
use crate::change::{Change, snapshot};
use crate::db::Db;
use crate::db::tokens::{self as store, StateChange};
use crate::dry_run;
use crate::handlers::{check_if_match, condition, overtaken};
use crate::limiter;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond_after};
use contract::Propagation;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::tokens::{ExtendTokenRequest, TokenChange, TokenChanged, TokenView, UpdateTokenRequest};
use domain::access::record::TokenState;
use domain::people::grant::{ChangeToken, Grant};
use domain::people::role::{Action, Subject, authorize};
use domain::stored::still_unreadable;

/// `PUT /api/tokens/{id}`
///
/// 1. Read and check the fields that are given.
/// 2. Check `If-Match`, that scopes are within the team's cap, and the permission to loosen limits if needed.
/// 3. Write if the version is still the one that was read; publish.
pub async fn update(call: &Call, asked: Asked<UpdateTokenRequest>) -> Answer<TokenChanged> {
    let caller = call.caller()?;
    let db = call.db()?;
    let (before, grant) = find_to_change(call, &db, caller, Deed::UpdateToken).await?;
    let change = asked.read(call)?.validate(call.now)?;
    check_if_match(call, before.version)?;
    refuse_revoked(&before)?;
    if change.scopes.is_some() || change.limits.is_some() {
        let team = store::team_bounds(&db, &before.team_id).await?.ok_or(ApiError::NotFound)?;
        check_cap(team.cap.as_deref(), change.scopes.as_deref().unwrap_or_default())?;
        let after = change.limits.as_ref().unwrap_or(&before.limits);
        let attempt = attempt(Deed::UpdateToken, &before);
        check_change(call, caller, (&before.team_id, &team.limits), (&before.limits, after), attempt)?;
    }
    let after = changed(before.clone(), change);
    write(call, &db, &grant, Deed::UpdateToken, &before, &after).await
}

/// Writes the fields of `after` if the token still has the version of `before`.
async fn write(
    call: &Call,
    db: &Db,
    grant: &Grant<ChangeToken>,
    deed: Deed,
    before: &TokenView,
    after: &TokenView,
) -> Answer<TokenChanged> {
    let update = store::update(db, grant, after, call.now)?;
    if call.is_dry_run() {
        return dry_run::of_token(call, db, after).await;
    }
    let propagation = Change::new(call, db, grant)
        .write([update])
        .deed(attempt(deed, before), snapshot(before), snapshot(after))
        .publish(before.id.clone())
        .await?
        .ok_or_else(|| overtaken(call))?;
    respond_changed(call, propagation).await
}

fn changed(token: TokenView, change: TokenChange) -> TokenView {
    let texts = |list: Vec<_>| list.iter().map(ToString::to_string).collect();
    let given = [
        ("scopes", change.scopes.is_some()),
        ("ip_allow", change.ip_allow.is_some()),
        ("limits", change.limits.is_some()),
    ];
    TokenView {
        unreadable: still_unreadable(token.unreadable, &given),
        name: change.name.unwrap_or(token.name),
        description: change.description.unwrap_or(token.description),
        scopes: change.scopes.map_or(token.scopes, |s| s.iter().map(ToString::to_string).collect()),
        expires_at: change.expires_at.unwrap_or(token.expires_at),
        ip_allow: change.ip_allow.map_or(token.ip_allow, texts),
        limits: change.limits.map(|limits| limits.over(&token.limits)).unwrap_or(token.limits),
        inject_faults: change.inject_faults.unwrap_or(token.inject_faults),
        may_derive: change.may_derive.unwrap_or(token.may_derive),
        ..token
    }
}

/// `POST /api/tokens/{id}/extend`
pub async fn extend(call: &Call, asked: Asked<ExtendTokenRequest>) -> Answer<TokenChanged> {
    let caller = call.caller()?;
    let db = call.db()?;
    let (before, grant) = find_to_change(call, &db, caller, Deed::ExtendToken).await?;
    let request = asked.read(call)?;
    let expires_at = request.validate(before.expires_at, call.now)?;
    check_if_match(call, before.version)?;
    refuse_revoked(&before)?;
    let after = TokenView { expires_at, ..before.clone() };
    write(call, &db, &grant, Deed::ExtendToken, &before, &after).await
}

/// `DELETE /api/tokens/{id}`. It is permanent; a repeat changes nothing.
pub async fn revoke(call: &Call, _: Asked<()>) -> Answer<TokenChanged> {
    change_state(call, Deed::RevokeToken, TokenState::Revoked).await
}

/// `POST /api/tokens/{id}/disable`
pub async fn disable(call: &Call, _: Asked<()>) -> Answer<TokenChanged> {
    change_state(call, Deed::DisableToken, TokenState::Disabled).await
}

/// `POST /api/tokens/{id}/enable`
pub async fn enable(call: &Call, _: Asked<()>) -> Answer<TokenChanged> {
    change_state(call, Deed::EnableToken, TokenState::Active).await
}

/// Brings a token into the state `target`.
///
/// The statement decides whether there is anything to change, not the row read before, which may have changed
/// since. If it changed nothing, the token is read again: either it already has that state, or a concurrent change
/// came first.
async fn change_state(call: &Call, deed: Deed, target: TokenState) -> Answer<TokenChanged> {
    let caller = call.caller()?;
    let db = call.db()?;
    let (before, grant) = find_to_change(call, &db, caller, deed).await?;
    check_if_match(call, before.version)?;
    let change = match target {
        // Callers who only own the token do not take over: they could not enable it again after somebody else
        // disabled it.
        TokenState::Disabled => StateChange::Disable {
            takes_over: authorize(caller, Action::ChangeToken, Subject::team(&before.team_id)).is_ok(),
        },
        TokenState::Active => StateChange::Enable { disabled_by: before.disabled_by.as_ref() },
        TokenState::Revoked => StateChange::Revoke,
    };
    let disabled_by = (target == TokenState::Disabled).then(|| caller.user.clone());
    let after = TokenView { state: target, disabled_by, ..before.clone() };
    if call.is_dry_run() {
        if before.state != target {
            refuse_revoked(&before)?;
        }
        return dry_run::of_token(call, &db, &after).await;
    }
    let version = condition(call, before.version);
    let written = Change::new(call, &db, &grant)
        .write([store::change_state(&db, &grant, &before.id, change, version, call.now)?])
        .deed(attempt(deed, &before), snapshot(&before), snapshot(&after))
        .publish(before.id.clone())
        .await?;
    if let Some(propagation) = written {
        if target == TokenState::Revoked {
            limiter::forget(call, &before.id).await;
        }
        return respond_changed(call, propagation).await;
    }
    let present = store::get(&db, before.id.as_str()).await?.ok_or(ApiError::NotFound)?;
    if present.state == target && version.is_none_or(|version| version == present.version) {
        return respond_changed(call, propagation_of(&db, &before.id).await?).await;
    }
    refuse_revoked(&present)?;
    Err(overtaken(call))
}

pub(super) async fn respond_changed(call: &Call, propagation: Propagation) -> Answer<TokenChanged> {
    let token = store::get(&call.db()?, call.id()).await?.ok_or(ApiError::NotFound)?;
    respond_after(propagation, Some(token.version), TokenChanged { token, propagation })
}
