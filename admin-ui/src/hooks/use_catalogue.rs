//! Lists that many pages offer as choices.

use super::{Remote, use_remote};
use crate::api::use_api;
use contract::routes::{ListRoutes, RouteQuery, RouteView};
use contract::teams::{ListTeams, TeamQuery, TeamView};
use domain::route::{DEFAULT_TIMEOUT_MS, Route, RouteCredential};
use domain::upstream::settings::RouteSettings;
use url::Url;
use yew::prelude::*;

/// Fetches every route that the caller may see.
#[hook]
pub fn use_routes() -> Remote<Vec<RouteView>> {
    let api = use_api();
    use_remote((), move |()| {
        let api = api.clone();
        async move { api.read_all::<ListRoutes, _>(&RouteQuery::default()).await }
    })
}

/// Fetches every team that the caller may see.
#[hook]
pub fn use_teams() -> Remote<Vec<TeamView>> {
    let api = use_api();
    use_remote((), move |()| {
        let api = api.clone();
        async move { api.read_all::<ListTeams, _>(&TeamQuery::default()).await }
    })
}

/// Returns a route as the gateway's decisions need it, or `None` if its methods cannot be read. If the
/// caller may not see the upstream, it is made up: no decision depends on it.
pub fn as_decided_on(view: &RouteView) -> Option<Route> {
    let upstream =
        view.upstream.as_ref().map_or("https://upstream.invalid", |upstream| &upstream.backend_url);
    Some(Route {
        id: view.id.clone(),
        path: view.path.clone(),
        upstream: Url::parse(upstream).ok()?,
        tags: view.tags.clone(),
        methods: view.methods.iter().map(|method| method.parse().ok()).collect::<Option<_>>()?,
        timeout_ms: DEFAULT_TIMEOUT_MS,
        cors_origins: vec![],
        forward_cookies: false,
        settings: RouteSettings::default(),
        credential: RouteCredential::None,
    })
}
