//! Making, changing and deleting a route.

use super::{attempt, respond_changed, seal_for, snapshot, view_for};
use crate::change::Change;
use crate::db::routes::{self as store, Stored};
use crate::db::{Db, StoreError, audit};
use crate::dry_run;
use crate::error::Failure;
use crate::handlers::{check_if_match, condition, overtaken};
use crate::publish::RouteTable;
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond_after};
use contract::audit::Deed;
use contract::error::ApiError;
use contract::routes::{
    CreateRouteRequest, RouteChange, RouteChanged, RouteView, UpdateRouteRequest, UpstreamView,
};
use domain::access::path::RoutePath;
use domain::id::RouteId;
use domain::people::role::{Action, Caller, Subject};
use domain::problem::{Clash, Invalid};
use domain::stored::still_unreadable;
use domain::upstream::address::{UpstreamUrl, origin_of};
use domain::upstream::settings::{Failover, RouteSettings};
use url::Url;

/// `POST /api/routes`
///
/// 1. Check permission to write routes, and to set credentials if the request contains one or a second upstream has
///    one.
/// 2. Read and check; the path must be free, and the second upstream another route.
/// 3. Write route, sealed credential, table version, outbox row and audit entry in one batch; publish.
pub async fn create(call: &Call, asked: Asked<CreateRouteRequest>) -> Answer<RouteChanged> {
    let caller = call.caller()?;
    let attempt = attempt(Deed::CreateRoute, None);
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let route = asked.read(call)?.validate(call.config.addresses)?;
    let db = call.db()?;
    let taken = || Failure::conflict("path", Clash::PathTaken);
    if store::id_of(&db, route.path.as_str()).await?.is_some() {
        return Err(taken());
    }
    let id = RouteId::from(audit::new_id("rte_")?);
    let lends = check_failover(call, &db, caller, (None, &id), &route.settings, attempt).await?;
    let credential = match &route.credential {
        None => None,
        Some(credential) => {
            let grant = call.authorize(caller, Subject::default(), attempt)?;
            Some(seal_for(call, &db, &grant, &id, route.upstream.origin(), credential).await?)
        }
    };
    let after = serde_json::json!({
        "name": route.name, "path": route.path, "backend_url": route.upstream,
        "description": route.description, "tags": route.tags, "methods": route.methods,
        "enabled": route.enabled, "timeout_ms": route.timeout_ms, "cors_origins": route.cors_origins,
        "forward_cookies": route.forward_cookies, "settings": route.settings,
        "credential": route.credential.as_ref().map(domain::credential::Credential::kind),
    });
    let change = Change::new(call, &db, &grant)
        .write([store::insert(&db, &grant, &id, &route, lends, call.now)?])
        .deed(Attempt { id: Some(id.as_str()), ..attempt }, None, Some(after))
        .then(credential);
    let propagation = match change.publish(RouteTable).await {
        Err(StoreError::Constraint(cause)) if cause.contains("routes.path") => return Err(taken()),
        result => result?.ok_or_else(|| overtaken(call))?,
    };
    respond_changed(&db, caller, &id, propagation, false).await
}

/// `PUT /api/routes/{id}`
///
/// 1. Read and check the fields that are given; check `If-Match`; the second upstream must be another route.
/// 2. If the origin changes, drop the credential, which is sealed to the old origin.
/// 3. Write if the version is still the one that was read; publish.
pub async fn update(call: &Call, asked: Asked<UpdateRouteRequest>) -> Answer<RouteChanged> {
    let caller = call.caller()?;
    let id = call.id().to_owned();
    let attempt = attempt(Deed::UpdateRoute, Some(&id));
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let change = asked.read(call)?.validate(call.config.addresses)?;
    let db = call.db()?;
    let before = store::get(&db, &id).await?.ok_or(ApiError::NotFound)?;
    check_if_match(call, before.view.version)?;
    let after = changed(before.clone(), change);
    let was = before.upstream.settings.failover.as_ref();
    let settings = &after.upstream.settings;
    let lends = check_failover(call, &db, caller, (was, &before.view.id), settings, attempt).await?;
    let drops = after.upstream.credential.is_none() && before.upstream.credential.is_some();
    // Later calls go out without the credential, so dropping it requires the permission to set one.
    let drop = if drops {
        let grant = call.authorize(caller, Subject::default(), attempt)?;
        Some(store::delete_credential(&db, &grant, &before.view.id)?)
    } else {
        None
    };
    let update = store::update(&db, &grant, &after, lends, call.now)?;
    if call.is_dry_run() {
        return dry_run::of_route(call, &db, &before, Some(&after)).await;
    }
    let propagation = Change::new(call, &db, &grant)
        .write([update])
        .deed(attempt, snapshot(&before), snapshot(&after))
        .then(drop)
        .publish(RouteTable)
        .await?
        .ok_or_else(|| overtaken(call))?;
    respond_changed(&db, caller, &before.view.id, propagation, drops).await
}

/// Checks the second upstream: it must exist and must not be the route itself. Calls of this route may go out with its
/// credential, so if it has one, the caller needs the permission to set it.
///
/// The result is a condition of the write: if the second upstream is deleted or gets a credential meanwhile, the
/// write changes nothing.
async fn check_failover<'a>(
    call: &Call,
    db: &Db,
    caller: &Caller,
    (was, id): (Option<&Failover>, &RouteId),
    settings: &'a RouteSettings,
    attempt: Attempt<'_>,
) -> Result<Option<store::Lends<'a>>, Failure> {
    let Some(failover) = &settings.failover else { return Ok(None) };
    let refused = |message| Err(Failure::field("settings.failover.route_id", message));
    if was == Some(failover) {
        return Ok(Some(store::Lends { second: &failover.route_id, credential: true }));
    }
    if failover.route_id == *id {
        return refused(Invalid::SameRoute);
    }
    let Some(second) = store::get(db, failover.route_id.as_str()).await? else {
        return refused(Invalid::NoRoute);
    };
    let credential = second.upstream.credential.is_some();
    if credential {
        call.require(caller, Action::SetCredential, Subject::default(), attempt)?;
    }
    Ok(Some(store::Lends { second: &failover.route_id, credential }))
}

/// Returns the route after the change, without its credential if that is sealed to another origin.
fn changed(route: Stored, change: RouteChange) -> Stored {
    let Stored { view, upstream } = route;
    let origin =
        change.upstream.as_ref().map(UpstreamUrl::origin).or_else(|| origin_in(&upstream.backend_url));
    let credential = upstream.credential.filter(|c| origin.as_ref() == Some(&c.origin));
    let given = [("methods", change.methods.is_some()), ("settings", change.settings.is_some())];
    let settings =
        change.settings.map(|settings| settings.over(&upstream.settings)).unwrap_or(upstream.settings);
    let maintenance = settings.maintenance.clone();
    Stored {
        upstream: UpstreamView {
            backend_url: change.upstream.map_or(upstream.backend_url, String::from),
            timeout_ms: change.timeout_ms.unwrap_or(upstream.timeout_ms),
            cors_origins: change.cors_origins.unwrap_or(upstream.cors_origins),
            forward_cookies: change.forward_cookies.unwrap_or(upstream.forward_cookies),
            settings,
            credential,
        },
        view: RouteView {
            name: change.name.unwrap_or(view.name),
            description: change.description.unwrap_or(view.description),
            tags: change.tags.unwrap_or(view.tags),
            methods: change
                .methods
                .map_or(view.methods, |list| list.iter().map(|m| m.as_str().to_owned()).collect()),
            enabled: change.enabled.unwrap_or(view.enabled),
            unreadable: still_unreadable(view.unreadable, &given),
            maintenance,
            ..view
        },
    }
}

fn origin_in(backend_url: &str) -> Option<String> {
    Url::parse(backend_url).ok().as_ref().map(origin_of)
}

/// `DELETE /api/routes/{id}`. Deletes the route and its credential; the audit log keeps a snapshot. Refused while
/// others fail over to it.
pub async fn delete(call: &Call, _: Asked<()>) -> Answer<RouteChanged> {
    let caller = call.caller()?;
    let attempt = attempt(Deed::DeleteRoute, Some(call.id()));
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let db = call.db()?;
    let before = store::get(&db, call.id()).await?.ok_or(ApiError::NotFound)?;
    check_if_match(call, before.view.version)?;
    let others = store::failing_over_to(&db, &before.view.id).await?;
    if !others.is_empty() {
        let paths: Vec<&str> = others.iter().map(RoutePath::as_str).collect();
        return Err(Failure::conflict("id", Clash::SecondUpstream { routes: paths.join(", ") }));
    }
    if call.is_dry_run() {
        return dry_run::of_route(call, &db, &before, None).await;
    }
    let version = condition(call, before.view.version);
    let propagation = Change::new(call, &db, &grant)
        .write([store::delete(&db, &grant, &before.view.id, version)?])
        .deed(attempt, snapshot(&before), None)
        .publish(RouteTable)
        .await?
        .ok_or_else(|| if version.is_some() { overtaken(call) } else { ApiError::NotFound.into() })?;
    let route = view_for(caller, before);
    respond_after(propagation, None, RouteChanged { route, propagation, credential_dropped: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::routes::CredentialView;
    use domain::credential::CredentialKind;

    fn stored() -> Stored {
        Stored {
            view: RouteView {
                id: "rte_1".into(),
                name: "n".into(),
                path: "/api/x".parse().unwrap(),
                description: None,
                tags: vec![],
                methods: vec![],
                enabled: true,
                maintenance: None,
                upstream: None,
                unreadable: vec![],
                created_at: 1,
                updated_at: 1,
                version: 1,
            },
            upstream: UpstreamView {
                backend_url: "https://x.example/v1".into(),
                timeout_ms: None,
                cors_origins: vec![],
                forward_cookies: false,
                settings: RouteSettings::default(),
                credential: Some(CredentialView {
                    kind: CredentialKind::Bearer,
                    origin: "https://x.example".into(),
                    updated_at: 1,
                    pool: None,
                }),
            },
        }
    }

    fn with_url(url: &str) -> Stored {
        let change =
            RouteChange { upstream: Some(UpstreamUrl::parse(url, true).unwrap()), ..RouteChange::default() };
        changed(stored(), change)
    }

    /// Parity fault 2: a secret could be sent to any host by repointing the route.
    #[test]
    fn a_new_origin_drops_the_credential_and_the_same_origin_keeps_it() {
        for kept in ["https://x.example/v2", "https://X.example:443/"] {
            assert!(with_url(kept).upstream.credential.is_some(), "{kept}");
        }
        for dropped in ["https://y.example/v1", "https://x.example:444/v1", "http://x.example/v1"] {
            assert!(with_url(dropped).upstream.credential.is_none(), "{dropped}");
        }
    }

    #[test]
    fn an_edit_that_sets_an_unreadable_field_repairs_it() {
        let fields = ["methods", "settings", "credential"].map(str::to_owned).to_vec();
        let mut route = stored();
        route.view.unreadable = fields.clone();
        let left = |change| changed(route.clone(), change).view.unreadable;
        assert_eq!(left(RouteChange { name: Some("m".into()), ..RouteChange::default() }), fields);
        let methods = RouteChange { methods: Some(vec![]), ..RouteChange::default() };
        assert_eq!(left(methods), ["settings", "credential"]);
        let settings = RouteChange { settings: Some(RouteSettings::default()), ..RouteChange::default() };
        assert_eq!(left(settings), ["methods", "credential"]);
    }

    #[test]
    fn fields_that_are_not_given_stay() {
        let after = changed(stored(), RouteChange { name: Some("m".into()), ..RouteChange::default() });
        assert_eq!(after.view.name, "m");
        assert_eq!(after.upstream, stored().upstream);
    }
}
