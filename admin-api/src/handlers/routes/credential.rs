//! A route's credential: written, never read.

use super::{attempt, commit, respond_changed, seal_for, snapshot};
use crate::db::{audit, routes as store};
use crate::error::Failure;
use crate::handlers::{check_if_match, overtaken};
use crate::request::{Asked, Call};
use crate::respond::Answer;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::routes::{RouteChanged, check_credential};
use domain::credential::Credential;
use domain::people::role::Subject;
use domain::upstream::address::origin_of;
use url::Url;

/// `PUT /api/routes/{id}/credential`: sealed to the route and to the origin that it has now.
pub async fn set_credential(call: &Call, asked: Asked<Credential>) -> Answer<RouteChanged> {
    let caller = call.caller()?;
    let id = call.id().to_owned();
    let attempt = attempt(Deed::SetCredential, Some(&id));
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let credential = asked.read(call)?;
    let mut errors = Vec::new();
    check_credential("", &credential, call.config.allow_insecure_upstreams, &mut errors);
    if !errors.is_empty() {
        return Err(errors.into());
    }
    let db = call.db()?;
    let route = store::get(&db, &id).await?.ok_or(ApiError::NotFound)?;
    check_if_match(call, route.view.version)?;
    let url = Url::parse(&route.upstream.backend_url).map_err(|e| Failure::Internal(e.to_string()))?;
    let origin = origin_of(&url);
    let client_ip = call.client_ip();
    let entry = audit::Entry {
        before: snapshot(&route),
        after: Some(serde_json::json!({ "credential": { "kind": credential.kind(), "origin": origin } })),
        ..call.entry(grant.actor().as_str(), attempt, client_ip.as_deref())
    };
    let route_id = &route.view.id;
    let first = store::touch(&db, &grant, route_id, route.view.version, call.now)?;
    let put = seal_for(call, &db, &grant, route_id, origin, &credential).await?;
    let propagation = commit(call, &db, &grant, first, &entry, Some(put)).await?;
    let propagation = propagation.ok_or_else(|| overtaken(call))?;
    respond_changed(&db, caller, route_id, propagation, false).await
}

/// `DELETE /api/routes/{id}/credential`
pub async fn clear_credential(call: &Call, _: Asked<()>) -> Answer<RouteChanged> {
    let caller = call.caller()?;
    let attempt = attempt(Deed::ClearCredential, Some(call.id()));
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let db = call.db()?;
    let route = store::get(&db, call.id()).await?.ok_or(ApiError::NotFound)?;
    check_if_match(call, route.view.version)?;
    let client_ip = call.client_ip();
    let entry = audit::Entry {
        before: snapshot(&route),
        after: Some(serde_json::json!({ "credential": null })),
        ..call.entry(grant.actor().as_str(), attempt, client_ip.as_deref())
    };
    let route_id = &route.view.id;
    let first = store::touch(&db, &grant, route_id, route.view.version, call.now)?;
    let delete = store::delete_credential(&db, &grant, route_id)?;
    let propagation = commit(call, &db, &grant, first, &entry, Some(delete)).await?;
    let propagation = propagation.ok_or_else(|| overtaken(call))?;
    respond_changed(&db, caller, route_id, propagation, false).await
}
