//! Method and pattern to handler, CORS, and the one way out.

use crate::config::Config;
use crate::error::Failure;
use crate::handlers::{
    audit, dashboard, docs, health, import, invitations, people, prices, routes, teams, tokens, upkeep,
    usage, webhooks,
};
use crate::hold;
use crate::request::Call;
use contract::audit as audit_api;
use contract::dashboard as dashboard_api;
use contract::error::ApiError;
use contract::import as import_api;
use contract::invitations as invitation_api;
use contract::limits as limit_api;
use contract::people as people_api;
use contract::prices as price_api;
use contract::routes as route_api;
use contract::teams as team_api;
use contract::tokens as token_api;
use contract::upkeep as upkeep_api;
use contract::usage as usage_api;
use contract::{Endpoint, GetDocs, GetHealth, GetOpenApi};
use domain::encoding::percent_decode;
use domain::upstream::headers::{REQUEST_ID, request_id};
use edge::clock::now;
use edge::http::{set_cors, set_preflight, set_request_id};
use edge::log::{self, Level};
use std::rc::Rc;
use worker::{Context, Env, Request, Response, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handler {
    Health,
    CreateToken,
    ListTokens,
    GetToken,
    UpdateToken,
    RevokeToken,
    DisableToken,
    EnableToken,
    RotateToken,
    ExtendToken,
    ExplainToken,
    ListTokenSecrets,
    TokenLimits,
    CreateRoute,
    ListRoutes,
    ListTags,
    TestRoute,
    GetRoute,
    UpdateRoute,
    DeleteRoute,
    SetCredential,
    ClearCredential,
    CreateTeam,
    ListTeams,
    GetTeam,
    UpdateTeam,
    DeleteTeam,
    ListMembers,
    Me,
    ListPeople,
    SetTeamRole,
    AddMembership,
    RemoveMembership,
    SyncPeople,
    CreateInvitation,
    ListInvitations,
    RevokeInvitation,
    ResendInvitation,
    TakeWebhook,
    Import,
    ListAudit,
    ExportAudit,
    HealthDetailed,
    ListNotifications,
    Publication,
    Reconcile,
    ListPrices,
    SetPrice,
    DeletePrice,
    Overview,
    Counts,
    UsageStats,
    TokenUsage,
    RouteUsage,
    TeamUsage,
    ListTokenUsage,
    ListRouteUsage,
    ListEvents,
    ExportEvents,
    LogUsage,
    OwnUsage,
    OpenApi,
    Docs,
}

type Row = (&'static str, &'static str, Handler);

const fn row<E: Endpoint>(handler: Handler) -> Row {
    (E::METHOD, E::PATTERN, handler)
}

/// A test holds this against `contract::ENDPOINTS`.
const ROUTES: &[Row] = &[
    row::<GetHealth>(Handler::Health),
    row::<token_api::CreateToken>(Handler::CreateToken),
    row::<token_api::ListTokens>(Handler::ListTokens),
    row::<token_api::GetToken>(Handler::GetToken),
    row::<token_api::UpdateToken>(Handler::UpdateToken),
    row::<token_api::RevokeToken>(Handler::RevokeToken),
    row::<token_api::DisableToken>(Handler::DisableToken),
    row::<token_api::EnableToken>(Handler::EnableToken),
    row::<token_api::RotateToken>(Handler::RotateToken),
    row::<token_api::ExtendToken>(Handler::ExtendToken),
    row::<token_api::ExplainToken>(Handler::ExplainToken),
    row::<token_api::ListTokenSecrets>(Handler::ListTokenSecrets),
    row::<limit_api::GetTokenLimits>(Handler::TokenLimits),
    row::<route_api::CreateRoute>(Handler::CreateRoute),
    row::<route_api::ListRoutes>(Handler::ListRoutes),
    row::<route_api::ListTags>(Handler::ListTags),
    row::<route_api::TestRoute>(Handler::TestRoute),
    row::<route_api::GetRoute>(Handler::GetRoute),
    row::<route_api::UpdateRoute>(Handler::UpdateRoute),
    row::<route_api::DeleteRoute>(Handler::DeleteRoute),
    row::<route_api::SetCredential>(Handler::SetCredential),
    row::<route_api::ClearCredential>(Handler::ClearCredential),
    row::<team_api::CreateTeam>(Handler::CreateTeam),
    row::<team_api::ListTeams>(Handler::ListTeams),
    row::<team_api::GetTeam>(Handler::GetTeam),
    row::<team_api::UpdateTeam>(Handler::UpdateTeam),
    row::<team_api::DeleteTeam>(Handler::DeleteTeam),
    row::<team_api::ListMembers>(Handler::ListMembers),
    row::<people_api::GetMe>(Handler::Me),
    row::<people_api::ListPeople>(Handler::ListPeople),
    row::<people_api::SetTeamRole>(Handler::SetTeamRole),
    row::<people_api::AddMembership>(Handler::AddMembership),
    row::<people_api::RemoveMembership>(Handler::RemoveMembership),
    row::<people_api::SyncPeople>(Handler::SyncPeople),
    row::<invitation_api::CreateInvitation>(Handler::CreateInvitation),
    row::<invitation_api::ListInvitations>(Handler::ListInvitations),
    row::<invitation_api::RevokeInvitation>(Handler::RevokeInvitation),
    row::<invitation_api::ResendInvitation>(Handler::ResendInvitation),
    row::<invitation_api::TakeWebhook>(Handler::TakeWebhook),
    row::<import_api::Import>(Handler::Import),
    row::<audit_api::ListAudit>(Handler::ListAudit),
    row::<audit_api::ExportAudit>(Handler::ExportAudit),
    row::<upkeep_api::GetHealthDetailed>(Handler::HealthDetailed),
    row::<upkeep_api::ListNotifications>(Handler::ListNotifications),
    row::<upkeep_api::GetPublication>(Handler::Publication),
    row::<upkeep_api::Reconcile>(Handler::Reconcile),
    row::<price_api::ListPrices>(Handler::ListPrices),
    row::<price_api::SetPrice>(Handler::SetPrice),
    row::<price_api::DeletePrice>(Handler::DeletePrice),
    row::<dashboard_api::GetOverview>(Handler::Overview),
    row::<dashboard_api::GetCounts>(Handler::Counts),
    row::<usage_api::GetUsageStats>(Handler::UsageStats),
    row::<usage_api::GetTokenUsage>(Handler::TokenUsage),
    row::<usage_api::GetRouteUsage>(Handler::RouteUsage),
    row::<usage_api::GetTeamUsage>(Handler::TeamUsage),
    row::<usage_api::ListTokenUsage>(Handler::ListTokenUsage),
    row::<usage_api::ListRouteUsage>(Handler::ListRouteUsage),
    row::<usage_api::ListEvents>(Handler::ListEvents),
    row::<usage_api::ExportEvents>(Handler::ExportEvents),
    row::<usage_api::LogUsage>(Handler::LogUsage),
    row::<usage_api::GetOwnUsage>(Handler::OwnUsage),
    row::<usage_api::GetOwnRecentCalls>(Handler::OwnUsage),
    row::<GetOpenApi>(Handler::OpenApi),
    row::<GetDocs>(Handler::Docs),
];

/// The destination of a request.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    Found(Handler, Vec<String>),
    /// The address exists and takes these methods.
    OtherMethods(Vec<&'static str>),
    Nowhere,
}

/// The parameters of `pattern` in `path`, percent-decoded. Each is one segment and not empty.
fn parameters(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut found = vec![];
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(found),
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {
                found.push(String::from_utf8(percent_decode(given.as_bytes())).ok()?);
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

/// Patterns without parameters stand before those that would match the same path.
fn find(method: &str, path: &str) -> Destination {
    let mut methods = vec![];
    for (known, pattern, handler) in ROUTES {
        if let Some(parameters) = parameters(pattern, path) {
            if *known == method {
                return Destination::Found(*handler, parameters);
            }
            methods.push(*known);
        }
    }
    if methods.is_empty() { Destination::Nowhere } else { Destination::OtherMethods(methods) }
}

/// Whether a restore of the database could lose what a handler changes.
fn is_a_change(handler: Handler) -> bool {
    ROUTES.iter().any(|(method, pattern, of)| *of == handler && contract::is_a_change(method, pattern))
}

/// The way in and the only way out: every answer, whatever became of the request, has its request
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

    let answer = match config {
        Ok(_) if method == "OPTIONS" => Response::empty().map(|r| r.with_status(204)).map_err(Failure::from),
        Ok(config) => dispatch(request, env, context, config, &request_id).await,
        Err(cause) => Err(Failure::Internal(cause.to_string())),
    };
    let response = match answer {
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

/// CORS headers for a listed origin. There is no wildcard and there are no credentials: a session
/// travels in `Authorization`, never in a cookie.
const EXPOSED: &str = "etag, x-request-id, retry-after";
const METHODS: &str = "GET, POST, PUT, DELETE";
const ACCEPTED: &str = "authorization, content-type, if-match, idempotency-key, x-api-key, x-request-id";

async fn dispatch(
    request: Request,
    env: Env,
    context: Context,
    config: Rc<Config>,
    request_id: &str,
) -> std::result::Result<Response, Failure> {
    let method = request.inner().method();
    let call = Call::new(request, env, context, config, request_id.to_owned())?;
    let (handler, parameters) = match find(&method, call.url.path()) {
        Destination::Found(handler, parameters) => (handler, parameters),
        Destination::OtherMethods(methods) => return Err(Failure::MethodNotAllowed(methods)),
        Destination::Nowhere => return Err(ApiError::NotFound.into()),
    };
    let call = call.with_parameters(parameters);
    if is_a_change(handler) {
        hold::refuse_change(&call).await?;
    }
    match handler {
        Handler::Health => health::get(&call),
        Handler::CreateToken => tokens::create(call).await,
        Handler::ListTokens => tokens::list(&call).await,
        Handler::GetToken => tokens::get(&call).await,
        Handler::UpdateToken => tokens::update(call).await,
        Handler::RevokeToken => tokens::revoke(&call).await,
        Handler::DisableToken => tokens::disable(&call).await,
        Handler::EnableToken => tokens::enable(&call).await,
        Handler::RotateToken => tokens::rotate(call).await,
        Handler::ExtendToken => tokens::extend(call).await,
        Handler::ExplainToken => tokens::explain(call).await,
        Handler::ListTokenSecrets => tokens::list_secrets(&call).await,
        Handler::TokenLimits => tokens::get_limits(&call).await,
        Handler::CreateRoute => routes::create(call).await,
        Handler::ListRoutes => routes::list(&call).await,
        Handler::ListTags => routes::tags(&call).await,
        Handler::TestRoute => routes::test(call).await,
        Handler::GetRoute => routes::get(&call).await,
        Handler::UpdateRoute => routes::update(call).await,
        Handler::DeleteRoute => routes::delete(&call).await,
        Handler::SetCredential => routes::set_credential(call).await,
        Handler::ClearCredential => routes::clear_credential(&call).await,
        Handler::CreateTeam => teams::create(call).await,
        Handler::ListTeams => teams::list(&call).await,
        Handler::GetTeam => teams::get(&call).await,
        Handler::UpdateTeam => teams::update(call).await,
        Handler::DeleteTeam => teams::delete(&call).await,
        Handler::ListMembers => teams::members(&call).await,
        Handler::Me => people::me(&call).await,
        Handler::ListPeople => people::list(&call).await,
        Handler::SetTeamRole => people::set_team_role(call).await,
        Handler::AddMembership => people::add_membership(call).await,
        Handler::RemoveMembership => people::remove_membership(&call).await,
        Handler::SyncPeople => people::sync(call).await,
        Handler::CreateInvitation => invitations::create(call).await,
        Handler::ListInvitations => invitations::list(&call).await,
        Handler::RevokeInvitation => invitations::revoke(&call).await,
        Handler::ResendInvitation => invitations::resend(&call).await,
        Handler::TakeWebhook => webhooks::take(call).await,
        Handler::Import => import::import(call).await,
        Handler::ListAudit => audit::list(&call).await,
        Handler::ExportAudit => audit::export(&call).await,
        Handler::HealthDetailed => health::detailed(&call).await,
        Handler::ListNotifications => upkeep::notifications(&call).await,
        Handler::Publication => upkeep::publication(&call).await,
        Handler::Reconcile => upkeep::reconcile(call).await,
        Handler::ListPrices => prices::list(&call).await,
        Handler::SetPrice => prices::set(call).await,
        Handler::DeletePrice => prices::delete(&call).await,
        Handler::Overview => dashboard::overview(&call).await,
        Handler::Counts => dashboard::counts(&call).await,
        Handler::UsageStats => usage::stats(&call).await,
        Handler::TokenUsage => usage::of_token(&call).await,
        Handler::RouteUsage => usage::of_route(&call).await,
        Handler::TeamUsage => usage::of_team(&call).await,
        Handler::ListTokenUsage => usage::list_tokens(&call).await,
        Handler::ListRouteUsage => usage::list_routes(&call).await,
        Handler::ListEvents => usage::events(&call).await,
        Handler::ExportEvents => usage::export(&call).await,
        Handler::LogUsage => usage::log_usage(call).await,
        Handler::OwnUsage => usage::own(&call).await,
        Handler::OpenApi => docs::document(),
        Handler::Docs => docs::page(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::ENDPOINTS;

    #[test]
    fn every_endpoint_is_routed_and_nothing_else() {
        let routed: Vec<_> = ROUTES.iter().map(|(m, p, _)| (*m, *p)).collect();
        let known: Vec<_> = ENDPOINTS.iter().map(|(m, p, _)| (*m, *p)).collect();
        assert_eq!(routed, known);
    }

    #[test]
    fn requests_find_their_handler() {
        let found = |handler, id: &str| Destination::Found(handler, vec![id.to_owned()]);
        assert_eq!(find("GET", "/health"), Destination::Found(Handler::Health, vec![]));
        assert_eq!(find("GET", "/api/routes/tags"), Destination::Found(Handler::ListTags, vec![]));
        let both = vec!["u 1".to_owned(), "ops".to_owned()];
        let path = "/api/users/u%201/team-membership/ops";
        assert_eq!(find("DELETE", path), Destination::Found(Handler::RemoveMembership, both));
        assert_eq!(find("GET", "/api/tokens/tok_1"), found(Handler::GetToken, "tok_1"));
        assert_eq!(find("GET", "/api/tokens/a%2Fb"), found(Handler::GetToken, "a/b"));
        assert_eq!(find("POST", "/api/tokens/t/rotate"), found(Handler::RotateToken, "t"));
        assert_eq!(find("DELETE", "/api/routes/r/credential"), found(Handler::ClearCredential, "r"));
    }

    #[test]
    fn a_restore_refuses_whatever_changes_something() {
        assert!(is_a_change(Handler::TakeWebhook) && is_a_change(Handler::RevokeToken));
        let others = ROUTES.iter().filter(|(method, ..)| *method != "GET").map(|(.., handler)| *handler);
        let others: Vec<_> = others.filter(|handler| !is_a_change(*handler)).collect();
        assert_eq!(
            others,
            [Handler::ExplainToken, Handler::TestRoute, Handler::Reconcile, Handler::LogUsage]
        );
        assert!(!is_a_change(Handler::ListTokens));
    }

    #[test]
    fn a_known_address_names_its_methods() {
        assert_eq!(find("PATCH", "/api/tokens"), Destination::OtherMethods(vec!["POST", "GET"]));
        assert_eq!(find("HEAD", "/health"), Destination::OtherMethods(vec!["GET"]));
    }

    #[test]
    fn anything_else_is_nowhere() {
        for path in ["/", "/api", "/api/tokens/", "/api/tokens/a/b/c", "/api/tokensx", "/api/tokens/%ff"] {
            assert_eq!(find("GET", path), Destination::Nowhere, "{path}");
        }
    }
}
