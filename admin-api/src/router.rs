//! Maps endpoints to handlers, adds CORS headers, and is the single exit for responses.

mod act;

pub use act::{Ask, act};

use crate::auth;
use crate::config::Config;
use crate::error::Failure;
use crate::handlers::{
    audit, canary, channels, config, dashboard, docs, health, import, invitations, keys, metrics, people,
    prices, routes, teams, tokens, upkeep, usage, webhooks,
};
use crate::hold;
use crate::request::{Asked, Call};
use crate::respond::Answer;
use contract::audit as audit_api;
use contract::channels as channel_api;
use contract::config as config_api;
use contract::dashboard as dashboard_api;
use contract::error::ApiError;
use contract::import as import_api;
use contract::invitations as invitation_api;
use contract::keys as key_api;
use contract::limits as limit_api;
use contract::metrics as metrics_api;
use contract::people as people_api;
use contract::prices as price_api;
use contract::routes as route_api;
use contract::teams as team_api;
use contract::tokens as token_api;
use contract::upkeep as upkeep_api;
use contract::usage as usage_api;
use contract::{Auth, Body, Endpoint, GetDocs, GetHealth, GetOpenApi, Row};
use domain::encoding::percent_decode;
use domain::upstream::headers::{REQUEST_ID, request_id};
use edge::clock::now;
use edge::http::{set_cors, set_preflight, set_request_id};
use edge::log::{self, Level};
use futures_util::future::LocalBoxFuture;
use matchit::Router;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;
use worker::{Context, Env, Request, Response, Result};

/// An endpoint with its handler.
struct Route {
    row: Row,
    handler: Box<dyn Handle>,
}

trait Handle {
    fn handle<'a>(&'a self, call: &'a Call) -> LocalBoxFuture<'a, Outcome>;
}

type Outcome = std::result::Result<Response, Failure>;

/// The thin generic shell around a handler: the rest of a request's processing is the same for all.
struct Bound<E, F>(F, PhantomData<E>);

impl<E, F> Handle for Bound<E, F>
where
    E: Endpoint,
    E::Request: DeserializeOwned,
    E::Response: Serialize,
    F: AsyncFn(&Call, Asked<E::Request>) -> Answer<E::Response>,
{
    fn handle<'a>(&'a self, call: &'a Call) -> LocalBoxFuture<'a, Outcome> {
        Box::pin(async move { (self.0)(call, Asked::of::<E>()).await?.encode(E::STATUS) })
    }
}

/// Binds a handler to the endpoint with the same request and response types.
fn route<E>(handler: impl AsyncFn(&Call, Asked<E::Request>) -> Answer<E::Response> + 'static) -> Route
where
    E: Endpoint + 'static,
    E::Request: DeserializeOwned,
    E::Response: Serialize,
{
    Route { row: Row::of::<E>(), handler: Box::new(Bound::<E, _>(handler, PhantomData)) }
}

/// Every route. A test holds them against [`contract::ENDPOINTS`].
fn routes() -> Vec<Route> {
    let mut routes = routes_of_tokens_and_teams();
    routes.extend(routes_of_people_and_upkeep());
    routes.extend(routes_of_usage());
    routes
}

#[rustfmt::skip]
fn routes_of_tokens_and_teams() -> Vec<Route> {
    vec![
        route::<GetHealth>(async |_, _| health::get()),
        route::<token_api::CreateToken>(tokens::create),
        route::<token_api::ListTokens>(tokens::list),
        route::<token_api::GetToken>(tokens::get),
        route::<token_api::UpdateToken>(tokens::update),
        route::<token_api::RevokeToken>(tokens::revoke),
        route::<token_api::DisableToken>(tokens::disable),
        route::<token_api::EnableToken>(tokens::enable),
        route::<token_api::RotateToken>(tokens::rotate),
        route::<token_api::EndTokenSecrets>(tokens::end_secrets),
        route::<token_api::ExtendToken>(tokens::extend),
        route::<token_api::ExplainToken>(tokens::explain),
        route::<token_api::FindToken>(tokens::find_by_hash),
        route::<token_api::ListTokenSecrets>(tokens::list_secrets),
        route::<limit_api::GetTokenLimits>(tokens::get_limits),
        route::<route_api::CreateRoute>(routes::create),
        route::<route_api::ListRoutes>(routes::list),
        route::<route_api::ListTags>(routes::tags),
        route::<route_api::TestRoute>(routes::test),
        route::<route_api::GetRoute>(routes::get),
        route::<route_api::UpdateRoute>(routes::update),
        route::<route_api::DeleteRoute>(routes::delete),
        route::<route_api::SetCredential>(routes::set_credential),
        route::<route_api::ClearCredential>(routes::clear_credential),
        route::<team_api::CreateTeam>(teams::create),
        route::<team_api::ListTeams>(teams::list),
        route::<team_api::GetTeam>(teams::get),
        route::<team_api::UpdateTeam>(teams::update),
        route::<team_api::DeleteTeam>(teams::delete),
        route::<team_api::ListMembers>(teams::members),
    ]
}

#[rustfmt::skip]
fn routes_of_people_and_upkeep() -> Vec<Route> {
    vec![
        route::<people_api::GetMe>(people::me),
        route::<people_api::ListPeople>(people::list),
        route::<people_api::SetTeamRole>(people::set_team_role),
        route::<people_api::AddMembership>(people::add_membership),
        route::<people_api::RemoveMembership>(people::remove_membership),
        route::<people_api::SyncPeople>(people::sync),
        route::<invitation_api::CreateInvitation>(invitations::create),
        route::<invitation_api::ListInvitations>(invitations::list),
        route::<invitation_api::RevokeInvitation>(invitations::revoke),
        route::<invitation_api::ResendInvitation>(invitations::resend),
        route::<invitation_api::TakeWebhook>(webhooks::take),
        route::<key_api::CreateKey>(keys::create),
        route::<key_api::ListKeys>(keys::list),
        route::<key_api::GetKey>(keys::get),
        route::<key_api::RotateKey>(keys::rotate),
        route::<key_api::RevokeKey>(keys::revoke),
        route::<import_api::Import>(import::import),
        route::<audit_api::ListAudit>(audit::list),
        route::<audit_api::ExportAudit>(audit::export),
        route::<upkeep_api::GetHealthDetailed>(health::detailed),
        route::<metrics_api::GetMetrics>(metrics::get),
        route::<upkeep_api::ListNotifications>(upkeep::notifications),
        route::<upkeep_api::SnoozeNotification>(upkeep::snooze),
        route::<upkeep_api::GetPublication>(upkeep::publication),
        route::<upkeep_api::Reconcile>(upkeep::reconcile),
        route::<contract::canary::GetCanary>(canary::get),
        route::<price_api::ListPrices>(prices::list),
        route::<price_api::SetPrice>(prices::set),
        route::<price_api::DeletePrice>(prices::delete),
        route::<channel_api::CreateChannel>(channels::create),
        route::<channel_api::ListChannels>(channels::list),
        route::<channel_api::GetChannel>(channels::get),
        route::<channel_api::UpdateChannel>(channels::update),
        route::<channel_api::DeleteChannel>(channels::delete),
        route::<channel_api::TestChannel>(channels::test),
        route::<channel_api::ListDeliveries>(channels::deliveries),
    ]
}

#[rustfmt::skip]
fn routes_of_usage() -> Vec<Route> {
    vec![
        route::<dashboard_api::GetOverview>(dashboard::overview),
        route::<dashboard_api::GetCounts>(dashboard::counts),
        route::<dashboard_api::GetHome>(dashboard::home),
        route::<usage_api::GetUsageStats>(usage::stats),
        route::<usage_api::GetTokenUsage>(usage::of_token),
        route::<usage_api::GetRouteUsage>(usage::of_route),
        route::<usage_api::GetTeamUsage>(usage::of_team),
        route::<usage_api::ExploreUsage>(usage::explore),
        route::<usage_api::ListTokenUsage>(usage::list_tokens),
        route::<usage_api::ListRouteUsage>(usage::list_routes),
        route::<usage_api::ListLabelUsage>(usage::labels),
        route::<usage_api::ListEvents>(usage::events),
        route::<usage_api::ExportEvents>(usage::export),
        route::<usage_api::LogUsage>(usage::log_usage),
        route::<usage_api::GetOwnUsage>(usage::own),
        route::<usage_api::GetOwnRecentCalls>(usage::own),
        route::<config_api::GetConfig>(config::export),
        route::<config_api::SendConfig>(config::send),
        route::<config_api::GetConfigSchema>(async |_, _| docs::schema()),
        route::<GetOpenApi>(async |_, _| docs::document()),
        route::<GetDocs>(async |_, _| docs::page()),
    ]
}

/// All routes, and a lookup of each path's routes.
struct Table {
    routes: Vec<Route>,
    paths: Router<Vec<usize>>,
}

impl Table {
    fn new() -> std::result::Result<Self, matchit::InsertError> {
        let routes = routes();
        let mut patterns: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, route) in routes.iter().enumerate() {
            patterns.entry(route.row.pattern).or_default().push(index);
        }
        let mut paths = Router::new();
        for (pattern, indices) in patterns {
            paths.insert(pattern.replace('{', ":").replace('}', ""), indices)?;
        }
        Ok(Self { routes, paths })
    }

    /// Finds a request's route and its path's parameters, percent-decoded. Each is one segment and not empty.
    fn find(&self, method: &str, path: &str) -> std::result::Result<(&Route, Vec<String>), Failure> {
        let nowhere = || Failure::from(ApiError::NotFound);
        let found = self.paths.at(path).map_err(|_| nowhere())?;
        let decode = |(_, text): (&str, &str)| String::from_utf8(percent_decode(text.as_bytes())).ok();
        let parameters: Option<Vec<String>> = found.params.iter().map(decode).collect();
        let parameters = parameters.filter(|all| all.iter().all(|text| !text.is_empty()));
        let parameters = parameters.ok_or_else(nowhere)?;
        let here = || found.value.iter().filter_map(|index| self.routes.get(*index));
        match here().find(|route| route.row.method == method) {
            Some(route) => Ok((route, parameters)),
            None => Err(Failure::MethodNotAllowed(here().map(|route| route.row.method).collect())),
        }
    }
}

thread_local! {
    /// The table, made once per isolate.
    static TABLE: std::result::Result<Rc<Table>, String> =
        Table::new().map(Rc::new).map_err(|error| error.to_string());
}

/// Serves a request. This is the single exit: every response, even after a failure, has its request
/// id and, for a listed origin, its CORS headers.
pub async fn serve(request: Request, env: Env, context: Context) -> Result<Response> {
    let started = now();
    let (method, path) = (request.inner().method(), request.path());
    let given = request.headers().get(REQUEST_ID)?;
    let random = edge::crypto::random().map_err(|e| worker::Error::RustError(e.to_string()))?;
    let request_id = request_id(given.as_deref(), random);
    let origin = request.headers().get("origin")?;
    let config = Config::get(&env);
    let logs = config.as_ref().is_ok_and(|config| config.log_calls);
    let allowed = origin.filter(|origin| config.as_ref().is_ok_and(|c| c.allows_origin(origin)));

    let outcome = match config {
        Ok(_) if method == "OPTIONS" => Response::empty().map(|r| r.with_status(204)).map_err(Failure::from),
        Ok(config) => answer(request, env, context, config, &request_id).await,
        Err(cause) => Err(Failure::Internal(cause.to_string())),
    };
    let response = match outcome {
        Ok(response) => response,
        Err(failure) => failure.respond(&request_id)?,
    };
    if logs {
        let status = response.status_code();
        let line = log::Call {
            level: Level::of_success(status < 400),
            event: "request",
            request_id: &request_id,
            method: &method,
            path: &path,
            status,
            ms: Some(now() - started),
            ..log::Call::default()
        };
        line.log();
    }
    let headers = &response.headers().0;
    set_request_id(headers, &request_id)?;
    set_cors(headers, allowed.as_deref(), |_| EXPOSED.to_owned())?;
    if allowed.is_some() && response.status_code() == 204 {
        set_preflight(headers, METHODS, Some(ACCEPTED), 600)?;
    }
    Ok(response)
}

/// Response headers that CORS exposes to a listed origin. There is no wildcard and there are no credentials: a session
/// travels in `Authorization`, never in a cookie.
const EXPOSED: &str = "etag, x-request-id, retry-after";
const METHODS: &str = "GET, POST, PUT, DELETE";
const ACCEPTED: &str = "authorization, content-type, if-match, idempotency-key, x-api-key, x-request-id";

/// Finds the route, and does the checks that its terms require before its handler runs.
async fn answer(
    request: Request,
    env: Env,
    context: Context,
    config: Rc<Config>,
    request_id: &str,
) -> Outcome {
    let method = request.inner().method();
    let mut call = Call::new(request, env, Rc::new(context), config, request_id.to_owned())?;
    let table = TABLE.with(Clone::clone).map_err(Failure::Internal)?;
    let (route, parameters) = table.find(&method, call.url.path())?;
    let terms = route.row.terms;
    call.set_parameters(parameters);
    if terms.is_change {
        hold::refuse_change(&call).await?;
    }
    if terms.auth == Auth::Session {
        let caller = auth::caller(&call).await?;
        call.sign_in(caller);
    }
    if method != "GET" {
        call.read_dry_run(&terms)?;
    }
    if terms.body != Body::None {
        call.read_body(terms.max_body).await?;
    }
    route.handler.handle(&call).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::ENDPOINTS;

    fn found(method: &str, path: &str) -> (&'static str, Vec<String>) {
        match Table::new().unwrap().find(method, path) {
            Ok((route, parameters)) => (route.row.pattern, parameters),
            Err(Failure::MethodNotAllowed(methods)) => {
                ("405", methods.iter().map(|m| (*m).to_owned()).collect())
            }
            Err(_) => ("404", vec![]),
        }
    }

    #[test]
    fn every_endpoint_is_routed_and_nothing_else() {
        let routed: Vec<_> = routes().iter().map(|route| (route.row.method, route.row.pattern)).collect();
        let known: Vec<_> = ENDPOINTS.iter().map(|row| (row.method, row.pattern)).collect();
        assert_eq!(routed, known);
    }

    #[test]
    fn requests_find_their_route() {
        let one = |pattern, id: &str| (pattern, vec![id.to_owned()]);
        assert_eq!(found("GET", "/health"), ("/health", vec![]));
        assert_eq!(found("GET", "/api/routes/tags"), ("/api/routes/tags", vec![]));
        let both = vec!["u 1".to_owned(), "ops".to_owned()];
        assert_eq!(
            found("DELETE", "/api/users/u%201/team-membership/ops"),
            ("/api/users/{uid}/team-membership/{team}", both)
        );
        assert_eq!(found("GET", "/api/tokens/tok_1"), one("/api/tokens/{id}", "tok_1"));
        assert_eq!(found("GET", "/api/tokens/a%2Fb"), one("/api/tokens/{id}", "a/b"));
        assert_eq!(found("POST", "/api/tokens/t/rotate"), one("/api/tokens/{id}/rotate", "t"));
        assert_eq!(found("DELETE", "/api/routes/r/credential"), one("/api/routes/{id}/credential", "r"));
    }

    #[test]
    fn a_known_address_names_its_methods() {
        assert_eq!(found("PATCH", "/api/tokens"), ("405", vec!["POST".to_owned(), "GET".to_owned()]));
        assert_eq!(found("HEAD", "/health"), ("405", vec!["GET".to_owned()]));
    }

    #[test]
    fn an_unknown_path_is_404() {
        for path in ["/", "/api", "/api/tokens/", "/api/tokens/a/b/c", "/api/tokensx", "/api/tokens/%ff"] {
            assert_eq!(found("GET", path).0, "404", "{path}");
        }
    }
}
