//! A route's credential: written, never read.

use super::{attempt, respond_changed, seal_for, snapshot};
use crate::change::Change;
use crate::db::routes::{self as store, Stored};
use crate::db::{Db, Statement};
use crate::error::Failure;
use crate::handlers::{check_if_match, overtaken};
use crate::publish::RouteTable;
use crate::request::{Asked, Attempt, Call};
use crate::respond::Answer;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::routes::{RouteChanged, check_credential};
use domain::credential::Credential;
use domain::credential::pool::Pool;
use domain::people::grant::{Grant, SetCredential};
use domain::people::role::Subject;
use domain::upstream::address::origin_of;
use edge::crypto::open;
use serde_json::Value;
use url::Url;

/// `PUT /api/routes/{id}/credential`. Seals it to the route and its current origin.
pub async fn set_credential(call: &Call, asked: Asked<Credential>) -> Answer<RouteChanged> {
    let caller = call.caller()?;
    let id = call.id().to_owned();
    let attempt = attempt(Deed::SetCredential, Some(&id));
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let mut credential = asked.read(call)?;
    let db = call.db()?;
    // Before the stored credentials are opened, so that they cannot be sealed to an origin that is set meanwhile: that
    // raises the version, and the write fails.
    let route = store::get(&db, &id).await?.ok_or(ApiError::NotFound)?;
    check_if_match(call, route.view.version)?;
    if let Credential::Pool(pool) = &mut credential
        && pool.keeps_any()
    {
        keep_stored(call, &db, &id, pool).await?;
    }
    let mut errors = Vec::new();
    check_credential("", &credential, call.config.addresses, &mut errors);
    if !errors.is_empty() {
        return Err(errors.into());
    }
    let url = Url::parse(&route.upstream.backend_url).map_err(|e| Failure::Internal(e.to_string()))?;
    let origin = origin_of(&url);
    let after = match &credential {
        Credential::Pool(pool) => {
            serde_json::json!({ "kind": "pool", "origin": origin, "pool": pool.shown() })
        }
        _ => serde_json::json!({ "kind": credential.kind(), "origin": origin }),
    };
    let after = serde_json::json!({ "credential": after });
    let put = seal_for(call, &db, &grant, &route.view.id, origin, &credential).await?;
    change(call, &db, &grant, (attempt, &route, after), put).await
}

/// Fills in the credentials of a pool that a request leaves as they are.
async fn keep_stored(call: &Call, db: &Db, id: &str, pool: &mut Pool) -> Result<(), Failure> {
    let row = store::published_one(db, id).await?.ok_or(ApiError::NotFound)?;
    let origin = Url::parse(&row.backend_url).ok().as_ref().map(origin_of).unwrap_or_default();
    if let Some(Ok(sealed)) = row.sealed.as_deref().map(str::parse)
        && let Ok(Credential::Pool(stored)) =
            open(&sealed, &row.id, &origin, &call.config.credential_keys).await
    {
        pool.fill(&stored);
    }
    Ok(())
}

/// `DELETE /api/routes/{id}/credential`
pub async fn clear_credential(call: &Call, _: Asked<()>) -> Answer<RouteChanged> {
    let caller = call.caller()?;
    let attempt = attempt(Deed::ClearCredential, Some(call.id()));
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let db = call.db()?;
    let route = store::get(&db, call.id()).await?.ok_or(ApiError::NotFound)?;
    check_if_match(call, route.view.version)?;
    let after = serde_json::json!({ "credential": null });
    let delete = store::delete_credential(&db, &grant, &route.view.id)?;
    change(call, &db, &grant, (attempt, &route, after), delete).await
}

/// Increments the route's version if it is still the one that was read, and writes its credential with `statement`.
async fn change(
    call: &Call,
    db: &Db,
    grant: &Grant<SetCredential>,
    (attempt, route, after): (Attempt<'_>, &Stored, Value),
    statement: Statement,
) -> Answer<RouteChanged> {
    let propagation = Change::new(call, db, grant)
        .write([store::touch(db, grant, &route.view.id, route.view.version, call.now)?])
        .deed(attempt, snapshot(route), Some(after))
        .then([statement])
        .publish(RouteTable)
        .await?
        .ok_or_else(|| overtaken(call))?;
    respond_changed(db, call.caller()?, &route.view.id, propagation, false).await
}
