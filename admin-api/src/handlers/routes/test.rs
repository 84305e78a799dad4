//! One harmless call to a route's upstream.

use super::attempt;
use crate::db::routes as store;
use crate::error::Failure;
use crate::publish::route_of;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::audit::Deed;
use contract::error::ApiError;
use contract::routes::{RouteTested, TestRouteRequest};
use domain::access::path::RequestPath;
use domain::call::outgoing::{Attached, Outgoing};
use domain::credential::sigv4::Payload;
use domain::credential::{Credential, CredentialEdit};
use domain::people::role::{Action, Subject};
use domain::problem::{Clash, Invalid};
use domain::route::Route;
use domain::upstream::build_url;
use domain::upstream::headers::{LOOP_MARK, REQUEST_ID};
use domain::upstream::target::RouteCredential;
use domain::usage::outcome::Outcome;
use edge::clock::now;
use edge::log::{Source, log};
use edge::timeout::{TimedOut, within};
use url::Url;
use worker::{Fetch, Headers, Method, Request, RequestInit, RequestRedirect};

/// The longest timeout of a test; somebody is waiting for it at a screen.
const MAX_TIMEOUT_MS: u32 = 15_000;

/// `POST /api/routes/{id}/test`. A disabled route can be tested too, before it is opened.
///
/// 1. Build the URL and attach the credential as the gateway does.
/// 2. Make the call. Redirects are not followed, and only the status of the response is read.
pub async fn test(call: &Call, asked: Asked<TestRouteRequest>) -> Answer<RouteTested> {
    let caller = call.caller()?;
    let id = call.id().to_owned();
    let attempt = attempt(Deed::TestRoute, Some(&id));
    call.require(caller, Action::TestRoute, Subject::default(), attempt)?;
    let request = asked.read(call)?;
    let row = store::published_one(&call.db()?, &id).await?.ok_or(ApiError::NotFound)?;
    let route = route_of(row).ok_or_else(|| Failure::Internal("the route cannot be read".to_owned()))?;
    // The rules may have changed since the route was made.
    let route = route
        .open(call.config.addresses.allow_insecure)
        .map_err(|_| Failure::conflict("backend_url", Clash::NotCallable))?;
    let url = url_of(&route, request.path.as_deref().unwrap_or_default())?;

    let tested =
        |status, latency_ms, outcome| RouteTested { url: url.to_string(), status, latency_ms, outcome };
    let Ok(edit) = credential_of(call, &route, request.credential.as_deref()).await? else {
        return respond(tested(None, 0, Outcome::CredentialUnavailable));
    };
    let started = now();
    let took = || u32::try_from(now() - started).unwrap_or(0);
    let upstream = self::request(call, request.method.as_str(), url.clone(), edit.as_ref()).await?;
    let Some(upstream) = upstream else {
        return respond(tested(None, took(), Outcome::CredentialUnavailable));
    };
    let timeout_ms = route.behaviour.timeout_ms.min(MAX_TIMEOUT_MS);
    let answer = match within(timeout_ms.into(), Fetch::Request(upstream).send()).await {
        Ok(Ok(response)) => {
            let status = response.status_code();
            tested(Some(status), took(), Outcome::of_status(status))
        }
        Ok(Err(error)) => {
            log(Source::Request(&call.request_id), "route test: upstream not reached", &error.to_string());
            tested(None, took(), Outcome::Unreachable)
        }
        Err(TimedOut) => tested(None, took(), Outcome::Timeout),
    };
    respond(answer)
}

/// Builds the URL of the call by the gateway's own rules.
fn url_of(route: &Route, below: &str) -> Result<Url, Failure> {
    let (path, query) = below.split_once('?').map_or((below, None), |(path, query)| (path, Some(query)));
    let refused = || Failure::field("path", Invalid::TestPath);
    if !path.is_empty() && !path.starts_with('/') {
        return Err(refused());
    }
    let whole = format!("{}{path}", route.rule.path.as_str());
    let path = RequestPath::parse(&whole).ok_or_else(refused)?;
    build_url(route.mount(), &path, query).map_err(|_| refused())
}

/// Opens the route's credential, that of a pool by its `name`. The inner error tells that it cannot be used.
async fn credential_of(
    call: &Call,
    route: &Route,
    name: Option<&str>,
) -> Result<Result<Option<CredentialEdit>, ()>, Failure> {
    let unknown = || Failure::field("credential", Invalid::Unknown);
    let RouteCredential::Sealed(sealed) = &route.target.credential else {
        return if name.is_none() { Ok(Ok(None)) } else { Err(unknown()) };
    };
    let origin = route.target.upstream.origin();
    match edge::crypto::open(sealed, &route.rule.id, &origin, &call.config.credential_keys).await {
        Ok(credential) => match (&credential, name) {
            (_, None) => Ok(Ok(Some(credential.edit()))),
            (Credential::Pool(pool), Some(name)) => {
                let (_, named) = pool.each().find(|(known, _)| *known == name).ok_or_else(unknown)?;
                Ok(Ok(Some(named.edit())))
            }
            (_, Some(_)) => Err(unknown()),
        },
        Err(error) => {
            log(
                Source::Request(&call.request_id),
                "route test: credential cannot be used",
                &error.to_string(),
            );
            Ok(Err(()))
        }
    }
}

/// Builds the request as the gateway would send it; `None` if the credential cannot be attached.
async fn request(
    call: &Call,
    method: &str,
    url: Url,
    edit: Option<&CredentialEdit>,
) -> Result<Option<Request>, Failure> {
    let mut outgoing = Outgoing::new(url.into(), None);
    outgoing.set(REQUEST_ID, call.request_id.as_str());
    outgoing.set(LOOP_MARK, "1");
    outgoing.set("user-agent", "token-manager-route-test");
    let token = match edit {
        Some(CredentialEdit::FetchToken(grant)) => match edge::oauth::token(grant).await {
            Ok(token) => Some(token),
            Err(why) => {
                log(Source::Request(&call.request_id), "route test: credential cannot be used", &why);
                return Ok(None);
            }
        },
        _ => None,
    };
    outgoing.attach(method, Attached::of(edit, token.as_ref()), &Payload::Empty, now());
    let headers = Headers::new();
    for (name, value) in outgoing.headers() {
        headers.set(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::from(method.to_owned()))
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    Ok(Some(Request::new_with_init(&outgoing.url, &init)?))
}
