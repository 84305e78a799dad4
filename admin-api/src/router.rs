//! Method and pattern to handler, CORS, and the one way out.

use crate::config::Config;
use crate::error::Failure;
use crate::handlers::{health, routes, tokens, usage};
use crate::request::Call;
use domain::api::Endpoint;
use domain::api::GetHealth;
use domain::api::routes as route_api;
use domain::api::tokens as token_api;
use domain::api::usage as usage_api;
use domain::error::ApiError;
use domain::headers::{REQUEST_ID, request_id};
use domain::route::percent_decode;
use std::rc::Rc;
use worker::{Context, Env, Headers, Request, Response, Result};

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
    ListTokenSecrets,
    CreateRoute,
    ListRoutes,
    GetRoute,
    UpdateRoute,
    DeleteRoute,
    SetCredential,
    ClearCredential,
    UsageStats,
    OwnUsage,
}

type Row = (&'static str, &'static str, Handler);

const fn row<E: Endpoint>(handler: Handler) -> Row {
    (E::METHOD, E::PATTERN, handler)
}

/// A test holds this against `domain::api::ENDPOINTS`.
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
    row::<token_api::ListTokenSecrets>(Handler::ListTokenSecrets),
    row::<route_api::CreateRoute>(Handler::CreateRoute),
    row::<route_api::ListRoutes>(Handler::ListRoutes),
    row::<route_api::GetRoute>(Handler::GetRoute),
    row::<route_api::UpdateRoute>(Handler::UpdateRoute),
    row::<route_api::DeleteRoute>(Handler::DeleteRoute),
    row::<route_api::SetCredential>(Handler::SetCredential),
    row::<route_api::ClearCredential>(Handler::ClearCredential),
    row::<usage_api::GetUsageStats>(Handler::UsageStats),
    row::<usage_api::GetOwnUsage>(Handler::OwnUsage),
    row::<usage_api::GetOwnRecentCalls>(Handler::OwnUsage),
];

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    Found(Handler, String),
    /// The address exists and takes these methods.
    OtherMethods(Vec<&'static str>),
    Nowhere,
}

/// The parameter of `pattern` in `path`, percent-decoded; empty where the pattern has none. A
/// parameter is one segment and not empty.
fn parameter(pattern: &str, path: &str) -> Option<String> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut found = String::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(found),
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {
                found = String::from_utf8(percent_decode(given.as_bytes())).ok()?;
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

fn find(method: &str, path: &str) -> Destination {
    let mut methods = vec![];
    for (known, pattern, handler) in ROUTES {
        if let Some(parameter) = parameter(pattern, path) {
            if *known == method {
                return Destination::Found(*handler, parameter);
            }
            methods.push(*known);
        }
    }
    if methods.is_empty() { Destination::Nowhere } else { Destination::OtherMethods(methods) }
}

/// The way in and the only way out: every answer, whatever became of the request, has its request
/// id and, for a listed origin, its CORS headers.
pub async fn serve(request: Request, env: Env, context: Context) -> Result<Response> {
    let given = request.headers().get(REQUEST_ID)?;
    let random = edge::crypto::random().map_err(|e| worker::Error::RustError(e.to_string()))?;
    let request_id = request_id(given.as_deref(), random);
    let origin = request.headers().get("origin")?;
    let config = Config::get(&env);
    let allowed = origin.filter(|origin| config.as_ref().is_ok_and(|c| c.allows_origin(origin)));

    let answer = match config {
        Ok(_) if request.inner().method() == "OPTIONS" => {
            Response::empty().map(|r| r.with_status(204)).map_err(Failure::from)
        }
        Ok(config) => dispatch(request, env, context, config, &request_id).await,
        Err(cause) => Err(Failure::Internal(cause.to_string())),
    };
    let response = match answer {
        Ok(response) => response,
        Err(failure) => failure.respond(&request_id)?,
    };
    response.headers().set(REQUEST_ID, &request_id)?;
    set_cors(response.headers(), allowed.as_deref(), response.status_code() == 204)?;
    Ok(response)
}

/// No wildcard and no credentials: a session travels in `Authorization`, never in a cookie.
fn set_cors(headers: &Headers, origin: Option<&str>, is_preflight: bool) -> Result<()> {
    headers.append("vary", "Origin")?;
    let Some(origin) = origin else { return Ok(()) };
    headers.set("access-control-allow-origin", origin)?;
    headers.set("access-control-expose-headers", "etag, x-request-id, retry-after")?;
    if is_preflight {
        headers.set("access-control-allow-methods", "GET, POST, PUT, DELETE")?;
        headers.set(
            "access-control-allow-headers",
            "authorization, content-type, if-match, idempotency-key, x-api-key, x-request-id",
        )?;
        headers.set("access-control-max-age", "600")?;
    }
    Ok(())
}

async fn dispatch(
    request: Request,
    env: Env,
    context: Context,
    config: Rc<Config>,
    request_id: &str,
) -> std::result::Result<Response, Failure> {
    let method = request.inner().method();
    let call = Call::new(request, env, context, config, request_id.to_owned())?;
    let (handler, parameter) = match find(&method, call.url.path()) {
        Destination::Found(handler, parameter) => (handler, parameter),
        Destination::OtherMethods(methods) => return Err(Failure::MethodNotAllowed(methods)),
        Destination::Nowhere => return Err(ApiError::NotFound.into()),
    };
    let call = call.with_parameter(parameter);
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
        Handler::ListTokenSecrets => tokens::list_secrets(&call).await,
        Handler::CreateRoute => routes::create(call).await,
        Handler::ListRoutes => routes::list(&call).await,
        Handler::GetRoute => routes::get(&call).await,
        Handler::UpdateRoute => routes::update(call).await,
        Handler::DeleteRoute => routes::delete(&call).await,
        Handler::SetCredential => routes::set_credential(call).await,
        Handler::ClearCredential => routes::clear_credential(&call).await,
        Handler::UsageStats => usage::stats(&call).await,
        Handler::OwnUsage => usage::own(&call).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::api::ENDPOINTS;

    #[test]
    fn every_endpoint_is_routed_and_nothing_else() {
        let routed: Vec<_> = ROUTES.iter().map(|(m, p, _)| (*m, *p)).collect();
        let known: Vec<_> = ENDPOINTS.iter().map(|(m, p, _)| (*m, *p)).collect();
        assert_eq!(routed, known);
    }

    #[test]
    fn requests_find_their_handler() {
        let found = |handler, id: &str| Destination::Found(handler, id.to_owned());
        assert_eq!(find("GET", "/health"), found(Handler::Health, ""));
        assert_eq!(find("GET", "/api/tokens/tok_1"), found(Handler::GetToken, "tok_1"));
        assert_eq!(find("GET", "/api/tokens/a%2Fb"), found(Handler::GetToken, "a/b"));
        assert_eq!(find("POST", "/api/tokens/t/rotate"), found(Handler::RotateToken, "t"));
        assert_eq!(find("DELETE", "/api/routes/r/credential"), found(Handler::ClearCredential, "r"));
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
