//! New secrets, from a new token or a rotation. No other response shows a secret.

use super::change::respond_changed;
use super::limits::check_change;
use super::{attempt, check_cap, find, find_to_change, propagation_of, refuse_revoked};
use crate::change::{Change, snapshot};
use crate::db::tokens::{self as store, Idempotency, SecretRow};
use crate::db::{Db, StoreError, audit};
use crate::error::Failure;
use crate::handlers::{check_if_match, condition, idempotency, overtaken};
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond, respond_after, respond_versioned};
use contract::audit::Deed;
use contract::error::ApiError;
use contract::tokens::{
    CreateTokenRequest, NewToken, RotateTokenRequest, SecretView, TokenChanged, TokenCreated, TokenView,
};
use contract::{Page, Propagation};
use domain::id::{TokenId, UserId};
use domain::limit::Limits;
use domain::people::grant::{CreateToken, Grant};
use domain::people::role::Subject;
use domain::problem::{Clash, Invalid};
use domain::time::UnixMs;
use domain::token::{TokenHint, TokenSecret, mint};
use edge::crypto::random;

/// The most secrets of one token that may work at the same time.
const MAX_WORKING_SECRETS: usize = 10;

/// `POST /api/tokens`
///
/// 1. Read and check; a team that the caller cannot see is 404.
/// 2. A repeat under the same `Idempotency-Key` ends here.
/// 3. Check that scopes are within the team's cap, and that limits are no looser than its defaults unless the
///    caller may loosen them.
/// 4. Write token, secret, outbox row, audit entry and idempotency key in one batch; publish.
pub async fn create(call: &Call, asked: Asked<CreateTokenRequest>) -> Answer<TokenCreated> {
    let caller = call.caller()?;
    let request = asked.read(call)?;
    let team = request.team_id.clone();
    let attempt = Attempt { deed: Deed::CreateToken, id: None, team: Some(team.as_str()) };
    let grant = call.authorize(caller, Subject::team(&team), attempt)?;
    let token = request.validate(call.now)?;
    let db = call.db()?;
    let idempotency = idempotency::read(call, "create-token".to_owned(), call.body())?;
    if let Some(view) = idempotency::replay(&db, grant.actor(), idempotency.as_ref()).await? {
        return respond_again(&db, view).await;
    }
    // Callers limited to their own teams were already refused with 404 above.
    let bounds = store::team_bounds(&db, &team).await?;
    let bounds = bounds.ok_or_else(|| Failure::field("team_id", Invalid::NoTeam))?;
    check_cap(bounds.cap.as_deref(), &token.scopes)?;
    check_change(call, caller, (&team, &bounds.limits), (&Limits::default(), &token.limits), attempt)?;

    let id = TokenId::from(audit::new_id("tok_")?);
    let secret = mint_secret(call)?;
    match insert(call, &db, &grant, &id, &token, &secret, idempotency.as_ref()).await {
        Ok(propagation) => {
            let propagation = propagation.ok_or_else(|| overtaken(call))?;
            respond_created(&db, &id, &secret, propagation).await
        }
        Err(error) => replay_after(&db, grant.actor(), idempotency.as_ref(), error).await,
    }
}

async fn insert(
    call: &Call,
    db: &Db,
    grant: &Grant<CreateToken>,
    id: &TokenId,
    token: &NewToken,
    secret: &TokenSecret,
    idempotency: Option<&Idempotency>,
) -> Result<Option<Propagation>, StoreError> {
    let attempt = Attempt { deed: Deed::CreateToken, id: Some(id.as_str()), team: Some(token.team.as_str()) };
    let after = serde_json::json!({
        "name": token.name, "team_id": token.team, "description": token.description,
        "scopes": token.scopes, "expires_at": token.expires_at, "ip_allow": token.ip_allow,
        "limits": token.limits, "inject_faults": token.inject_faults, "may_derive": token.may_derive,
        "hint": secret.hint(),
    });
    let answered = |key| store::insert_answered(db, grant, key, id, secret, call.now);
    Change::new(call, db, grant)
        .write([store::insert(db, grant, id, token, call.now)?])
        .deed(attempt, None, Some(after))
        .then([store::insert_secret(db, grant, id, secret, call.now)?])
        .then(idempotency.map(answered).transpose()?)
        .publish(id.clone())
        .await
}

/// `POST /api/tokens/{id}/rotate`
///
/// 1. Read and check; a repeat under the same `Idempotency-Key` ends here.
/// 2. Set an expiry for the existing secrets, unless they have an earlier one; add a new secret.
/// 3. Publish all of them to KV.
pub async fn rotate(call: &Call, asked: Asked<RotateTokenRequest>) -> Answer<TokenCreated> {
    let caller = call.caller()?;
    let db = call.db()?;
    let (before, grant) = find_to_change(call, &db, caller, Deed::RotateToken).await?;
    let request = asked.read(call)?;
    let grace_ms = request.validate()?;
    let idempotency = idempotency::read(call, format!("rotate-token:{}", before.id), call.body())?;
    if let Some(view) = idempotency::replay(&db, grant.actor(), idempotency.as_ref()).await? {
        return respond_again(&db, view).await;
    }
    check_if_match(call, before.version)?;
    refuse_revoked(&before)?;

    if grace_ms > 0 {
        check_number_of_secrets(&db, &before.id, call.now).await?;
    }

    let secret = mint_secret(call)?;
    let id = &before.id;
    let after = serde_json::json!({ "hint": secret.hint(), "grace_ms": grace_ms });
    let answered = |key| store::insert_answered(&db, &grant, key, id, &secret, call.now);
    let change = Change::new(call, &db, &grant)
        .write([store::touch(&db, &grant, id, condition(call, before.version), call.now)?])
        .deed(attempt(Deed::RotateToken, &before), snapshot(&before), Some(after))
        .then([
            store::insert_secret(&db, &grant, id, &secret, call.now)?,
            store::end_other_secrets(&db, &grant, id, &secret.hash(), call.now + grace_ms)?,
        ])
        .then(idempotency.as_ref().map(answered).transpose()?);
    match change.publish(id.clone()).await {
        Ok(propagation) => {
            let propagation = propagation.ok_or_else(|| overtaken(call))?;
            respond_created(&db, &before.id, &secret, propagation).await
        }
        Err(error) => replay_after(&db, grant.actor(), idempotency.as_ref(), error).await,
    }
}

/// `POST /api/tokens/{id}/end-secrets`
///
/// Without a secret that still works beside the newest, nothing is written.
pub async fn end_secrets(call: &Call, _: Asked<()>) -> Answer<TokenChanged> {
    let caller = call.caller()?;
    let db = call.db()?;
    let (before, grant) = find_to_change(call, &db, caller, Deed::EndSecrets).await?;
    check_if_match(call, before.version)?;
    refuse_revoked(&before)?;
    let (id, secrets) = (&before.id, store::secrets(&db, before.id.as_str()).await?);
    let ended: Vec<TokenHint> = secrets
        .iter()
        .skip(1)
        .filter(|one| one.ends_at.is_none_or(|end| end > call.now))
        .map(SecretRow::hint)
        .collect();
    let Some(newest) = secrets.first().filter(|_| !ended.is_empty()) else {
        return respond_changed(call, propagation_of(&db, id).await?).await;
    };
    let change = Change::new(call, &db, &grant)
        // A rotation since then has made a newer secret, which must not end.
        .write([store::touch(&db, &grant, id, Some(before.version), call.now)?])
        .deed(
            attempt(Deed::EndSecrets, &before),
            snapshot(&before),
            Some(serde_json::json!({ "hint": newest.hint(), "ended": ended })),
        )
        .then([store::end_other_secrets(&db, &grant, id, &newest.hash, call.now)?])
        .publish(id.clone())
        .await?;
    respond_changed(call, change.ok_or_else(|| overtaken(call))?).await
}

/// Limits the number of working secrets: each is a separate entry in KV, which a revocation must reach.
async fn check_number_of_secrets(db: &Db, token: &TokenId, now: UnixMs) -> Result<(), Failure> {
    let secrets = store::secrets(db, token.as_str()).await?;
    let working = secrets.iter().filter(|secret| secret.ends_at.is_none_or(|end| end > now)).count();
    if working < MAX_WORKING_SECRETS {
        return Ok(());
    }
    let message = Clash::TooManySecrets;
    Err(Failure::conflict("grace_hours", message))
}

/// `GET /api/tokens/{id}/secrets`
pub async fn list_secrets(call: &Call, _: Asked<()>) -> Answer<Page<SecretView>> {
    let caller = call.caller()?;
    let db = call.db()?;
    let token = find(call, &db, caller).await?;
    let secrets = store::secrets(&db, token.id.as_str()).await?;
    // A token has few secrets: each rotation adds one.
    let items = secrets.into_iter().map(SecretView::from).collect();
    respond(Page { items, next_cursor: None, total: None })
}

fn mint_secret(call: &Call) -> Result<TokenSecret, Failure> {
    mint(random::<32>()?, &call.config.check_keys)
        .ok_or_else(|| Failure::Internal("the token cannot be checked".to_owned()))
}

async fn respond_created(
    db: &Db,
    id: &TokenId,
    secret: &TokenSecret,
    propagation: Propagation,
) -> Answer<TokenCreated> {
    let view = store::get(db, id.as_str()).await?.ok_or(ApiError::NotFound)?;
    let token = Some(secret.expose().to_owned());
    respond_after(propagation, Some(view.version), TokenCreated { token, view, propagation })
}

/// Makes the response to a repeat: the same token, without its secret.
async fn respond_again(db: &Db, view: TokenView) -> Answer<TokenCreated> {
    let propagation = propagation_of(db, &view.id).await?;
    let created = TokenCreated { token: None, view, propagation };
    respond_versioned(created.view.version, created).map(|reply| reply.status(200))
}

/// Handles two simultaneous requests under one key: the second finds the key taken and its whole batch
/// undone, and gets the first one's result.
async fn replay_after(
    db: &Db,
    actor: &UserId,
    idempotency: Option<&Idempotency>,
    error: StoreError,
) -> Answer<TokenCreated> {
    if matches!(error, StoreError::Constraint(_))
        && let Some(view) = idempotency::replay(db, actor, idempotency).await?
    {
        return respond_again(db, view).await;
    }
    Err(error.into())
}
