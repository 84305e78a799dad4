//! Lists that many pages offer as choices.

use super::{Remote, use_remote};
use crate::api::use_api;
use contract::routes::{ListRoutes, RouteQuery, RouteView};
use contract::teams::{ListTeams, TeamQuery, TeamView};
use domain::access::rule::Rule;
use domain::id::TeamId;
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

/// Returns a team's name; its id while its name is not known.
pub fn team_name(teams: &[TeamView], id: &TeamId) -> String {
    teams.iter().find(|team| team.id == *id).map_or_else(|| id.to_string(), |team| team.name.clone())
}

/// Returns a route's rule, from which the gateway decides; `None` if its methods cannot be read.
pub fn rule_of(view: &RouteView) -> Option<Rule> {
    Some(Rule {
        id: view.id.clone(),
        path: view.path.clone(),
        tags: view.tags.clone(),
        methods: view.methods.iter().map(|method| method.parse().ok()).collect::<Option<_>>()?,
    })
}
