//! One call from arrival to answer.

use crate::config::Config;
use crate::error::Failure;
use crate::meter;
use crate::store::{Routes, Store, now};
use crate::{credentials, upstream};
use domain::access::{Call, Permit, decide};
use domain::api::Health;
use domain::cors::{self, EXPOSED, PREFLIGHT_MAX_AGE_S};
use domain::error::GatewayError;
use domain::headers::{LOOP_MARK, REQUEST_ID, SERVER_TIMING, request_id};
use domain::kv::TokenRecord;
use domain::route::{RequestPath, Route};
use domain::time::UnixMs;
use domain::token::{Carrier, Form, TokenSecret, base62};
use domain::usage::{MAX_BYTES, MAX_PATH_LEN, MAX_USER_AGENT_LEN, Outcome, UsageEvent, clip};
use edge::log::log;
use futures_util::future::join;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use url::Url;
use wasm_bindgen::JsValue;
use web_sys::{Request, Response};
use worker::{Context, Env, Error, Result};

/// A call as it came in.
#[derive(Debug)]
pub struct Arrival {
    pub request: Request,
    pub url: Url,
    pub path: RequestPath,
    /// In upper case.
    pub method: String,
    pub request_id: String,
    /// The header that held our token, once it was found.
    pub carrier: Option<Carrier>,
    event_id: String,
    at: UnixMs,
    client_ip: Option<IpAddr>,
    origin: Option<String>,
}

/// What becomes known on the way, for the record of the call.
#[derive(Debug, Default)]
struct Account {
    token: Option<Arc<TokenRecord>>,
    route: Option<Arc<Route>>,
    /// Time to the decision, and from sending to the first byte.
    auth_ms: i64,
    upstream_ms: i64,
}

impl Arrival {
    fn read(request: Request) -> Result<Self> {
        let at = now();
        let random = edge::crypto::random::<32>().map_err(|e| Error::RustError(e.to_string()))?;
        let (for_request, for_event) = random.split_at(16);
        let url = Url::parse(&request.url())?;
        let headers = request.headers();
        let header = |name: &str| headers.get(name).ok().flatten();
        Ok(Self {
            path: RequestPath::of(&url),
            method: request.method().to_ascii_uppercase(),
            request_id: request_id(header(REQUEST_ID).as_deref(), for_request.try_into().unwrap_or_default()),
            carrier: None,
            event_id: base62(for_event, 22),
            at,
            client_ip: header("cf-connecting-ip").and_then(|ip| ip.parse().ok()),
            origin: header("origin"),
            url,
            request,
        })
    }

    fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
    }

    /// The gateway's own origin as the client sees it.
    fn gateway(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// Serves one call. In order: health · loop · preflight · token syntax · token record · decision
/// (state, expiry, client address, route, method, scope) · credential · upstream · answer · usage.
pub async fn serve(request: Request, env: &Env, context: &Context) -> Result<Response> {
    let mut arrival = Arrival::read(request)?;
    if arrival.path.as_str() == "/health" {
        return health(&arrival);
    }
    let config = match Config::get(env) {
        Ok(config) => config,
        Err(cause) => {
            log(&arrival.request_id, "configuration cannot be used", &cause);
            return Failure::from(GatewayError::InternalServerError).respond(&arrival.request_id);
        }
    };
    let id = arrival.request_id.clone();
    let store = Store { env, context, config: &config, request_id: &id };
    let mut account = Account::default();
    let (response, outcome) = match handle(&mut arrival, &store, &mut account).await {
        Ok(response) => {
            let outcome = Outcome::of_status(response.status());
            (response, outcome)
        }
        Err(failure) => (failure.respond(&id)?, failure.outcome),
    };
    finish(&response, &arrival, &account, &store).await?;
    if let Some(event) = event(&arrival, &account, &response, outcome) {
        meter::record(event, env, context, &config);
    }
    Ok(response)
}

fn health(arrival: &Arrival) -> Result<Response> {
    let health =
        Health { status: "ok".into(), service: "gateway".into(), version: env!("CARGO_PKG_VERSION").into() };
    let response = worker::Response::from_json(&health)?;
    response.headers().set(REQUEST_ID, &arrival.request_id)?;
    response.headers().set(SERVER_TIMING, "auth;dur=0, upstream;dur=0")?;
    response.headers().set("cache-control", "no-store")?;
    Ok(response.into())
}

async fn handle(
    arrival: &mut Arrival,
    store: &Store<'_>,
    account: &mut Account,
) -> std::result::Result<Response, Failure> {
    if arrival.header(LOOP_MARK).is_some() {
        return Err(GatewayError::LoopDetected.into());
    }
    if let Some(response) = preflight(arrival, store).await? {
        return Ok(response);
    }
    let secret = present(arrival, store.config)?;
    let (permit, routes) = permit(&secret, arrival, store, account).await?;
    let credential = credentials::for_call(&permit, &routes, store).await?;
    let sent_at = now();
    account.auth_ms = sent_at - arrival.at;
    let answer = upstream::forward(&permit, credential.as_deref(), arrival).await;
    account.upstream_ms = now() - sent_at;
    let (answer, sent_to) = answer.map_err(|failed| {
        log(
            store.request_id,
            "upstream call failed",
            &format!("route {}: {}", permit.route().id, failed.cause),
        );
        Failure::from(failed.error)
    })?;
    upstream::returned(&answer, &sent_to, &permit, credential.as_deref(), &arrival.gateway()).map_err(
        |cause| {
            log(store.request_id, "answer cannot be handed on", &format!("{cause:?}"));
            Failure::from(GatewayError::BadGateway)
        },
    )
}

/// The token that the call presents, its carrier noted. Costs no KV read.
fn present(arrival: &mut Arrival, config: &Config) -> std::result::Result<TokenSecret, Failure> {
    for carrier in Carrier::ALL {
        let Some(value) = arrival.header(carrier.header()) else { continue };
        if let Some(token) = carrier.token_in(&value) {
            arrival.carrier = Some(carrier);
            return TokenSecret::parse(token, &config.check_keys).map_err(|_| {
                meter::count_unknown_token();
                GatewayError::InvalidApiKey.into()
            });
        }
    }
    Err(GatewayError::MissingApiKey.into())
}

/// Looks the token up and decides. Record and routes are read side by side where neither is cached.
async fn permit(
    secret: &TokenSecret,
    arrival: &Arrival,
    store: &Store<'_>,
    account: &mut Account,
) -> std::result::Result<(Permit, Rc<Routes>), Failure> {
    let unknown = || {
        meter::count_unknown_token();
        Failure::from(GatewayError::InvalidApiKey)
    };
    if secret.form() == Form::Legacy {
        // Without a check anything of this shape could be a token: look only while there are any.
        let routes = store.routes().await.map_err(|e| Failure::from(GatewayError::from(&e)))?;
        if !routes.is_some_and(|routes| routes.table.legacy_tokens) {
            return Err(unknown());
        }
    }
    let hash = secret.hash();
    let (token, routes) = join(store.token(&hash), store.routes()).await;
    let token = token.map_err(|cause| {
        log(store.request_id, "token cannot be read", &cause);
        Failure::from(GatewayError::from(&cause))
    })?;
    let token = token.ok_or_else(unknown)?;
    account.token = Some(Arc::clone(&token));
    let routes = routes.map_err(|e| Failure::from(GatewayError::from(&e)))?;
    let routes = routes.ok_or(GatewayError::RoutesNotConfigured)?;
    let call =
        Call { method: &arrival.method, path: &arrival.path, client_ip: arrival.client_ip, now: arrival.at };
    account.route = routes.table.find(&arrival.path).cloned();
    let permit = decide(&token, &routes.table, &call)?;
    Ok((permit, routes))
}

/// The answer to a CORS preflight, where the route lists the origin. It carries no token, so it
/// cannot be asked for one.
async fn preflight(arrival: &Arrival, store: &Store<'_>) -> std::result::Result<Option<Response>, Failure> {
    let wanted = arrival.header("access-control-request-method");
    let (Some(origin), Some(wanted)) = (&arrival.origin, wanted) else { return Ok(None) };
    if arrival.method != "OPTIONS" {
        return Ok(None);
    }
    let routes = store.routes().await.map_err(|e| Failure::from(GatewayError::from(&e)))?;
    let Some(route) = routes.as_ref().and_then(|routes| routes.table.find(&arrival.path)) else {
        return Ok(None);
    };
    if cors::allow(route, origin).is_none() {
        return Ok(None);
    }
    let methods = route.methods.iter().map(domain::method::Method::as_str).collect::<Vec<_>>().join(", ");
    let respond = || -> Result<Response> {
        let response = worker::Response::empty()?.with_status(204);
        let headers = response.headers();
        headers.set("access-control-allow-methods", if methods.is_empty() { &wanted } else { &methods })?;
        if let Some(names) = arrival.header("access-control-request-headers") {
            headers.set("access-control-allow-headers", &names)?;
        }
        headers.set("access-control-max-age", &PREFLIGHT_MAX_AGE_S.to_string())?;
        Ok(response.into())
    };
    respond().map(Some).map_err(|cause| {
        log(store.request_id, "preflight cannot be answered", &cause);
        GatewayError::InternalServerError.into()
    })
}

/// What every response carries, errors included: request id, timing, CORS.
async fn finish(response: &Response, arrival: &Arrival, account: &Account, store: &Store<'_>) -> Result<()> {
    let failed = |cause: JsValue| Error::from(cause);
    let headers = response.headers();
    headers.set(REQUEST_ID, &arrival.request_id).map_err(failed)?;
    let timing = format!("auth;dur={}, upstream;dur={}", account.auth_ms, account.upstream_ms);
    headers.append(SERVER_TIMING, &timing).map_err(failed)?;
    let Some(origin) = &arrival.origin else { return Ok(()) };
    let routes = store.routes().await.ok().flatten();
    let Some(route) = routes.as_ref().and_then(|routes| routes.table.find(&arrival.path)) else {
        return Ok(());
    };
    if route.cors_origins.is_empty() {
        return Ok(());
    }
    // The answer differs by origin even where it is refused.
    headers.append("vary", "Origin").map_err(failed)?;
    if let Some(grant) = cors::allow(route, origin) {
        headers.set("access-control-allow-origin", &grant.origin).map_err(failed)?;
        headers.set("access-control-expose-headers", EXPOSED).map_err(failed)?;
    }
    Ok(())
}

/// The record of a call whose token is known.
fn event(arrival: &Arrival, account: &Account, response: &Response, outcome: Outcome) -> Option<UsageEvent> {
    let token = account.token.as_ref()?;
    let length = |headers: web_sys::Headers| {
        let announced = headers.get("content-length").ok().flatten()?.parse().ok()?;
        (announced <= MAX_BYTES).then_some(announced)
    };
    let millis = |ms: i64| u32::try_from(ms).unwrap_or(0);
    let latency_ms = if account.auth_ms == 0 && account.upstream_ms == 0 {
        now() - arrival.at
    } else {
        account.auth_ms + account.upstream_ms
    };
    Some(UsageEvent {
        id: arrival.event_id.clone(),
        at: arrival.at,
        token_id: token.id.clone(),
        team: token.team.clone(),
        route_id: account.route.as_ref().map(|route| route.id.clone()),
        route_path: account.route.as_ref().map(|route| route.path.as_str().to_owned()),
        path: clip(arrival.path.as_str(), MAX_PATH_LEN),
        method: arrival.method.clone(),
        status: response.status(),
        outcome,
        latency_ms: millis(latency_ms),
        gateway_ms: millis(latency_ms - account.upstream_ms),
        bytes_in: length(arrival.request.headers()),
        bytes_out: length(response.headers()),
        client_ip: arrival.client_ip.map(|ip| ip.to_string()),
        user_agent: arrival.header("user-agent").map(|text| clip(&text, MAX_USER_AGENT_LEN)),
        country: arrival.header("cf-ipcountry"),
        request_id: arrival.request_id.clone(),
        ai: None,
    })
}
