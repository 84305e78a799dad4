//! One call from arrival to answer.

use crate::arrival::Arrival;
use crate::body::Body;
use crate::config::Config;
use crate::error::Failure;
use crate::limiter::{self, Admission};
use crate::record::{self, Account, Line};
use crate::store::{Keep, Routes, Store, now, prices};
use crate::upstream;
use crate::watch::{End, Seen, Watcher, watched};
use crate::{ai, meter, websocket};
use domain::access::{Call, Permit, decide};
use domain::api::Health;
use domain::cors::{self, EXPOSED, PREFLIGHT_MAX_AGE_S};
use domain::error::GatewayError;
use domain::fault::{FAULT, Fault};
use domain::headers::{LOOP_MARK, REQUEST_ID, SERVER_TIMING};
use domain::limit::ledger::{Ask, Settlement};
use domain::price::PriceList;
use domain::settings::AiSettings;
use domain::token::{Carrier, Form, TokenSecret};
use domain::usage::{AiUsage, Outcome, SECRET_HEAD, UsageEvent};
use edge::log::{log, log_call};
use futures_channel::oneshot;
use futures_util::future::join;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen::JsValue;
use web_sys::{Request, Response};
use worker::{Context, Delay, Env, Error, Result};

type Handled<T> = std::result::Result<T, Box<Failure>>;

impl From<GatewayError> for Box<Failure> {
    fn from(error: GatewayError) -> Self {
        Box::new(error.into())
    }
}

/// Serves one call. In order: health · loop · preflight · token syntax · token record · decision
/// (state, expiry, client address, route, method, scope) · maintenance · limits · credential ·
/// upstream · answer · usage.
pub async fn serve(request: Request, env: &Env, context: &Rc<Context>) -> Result<Response> {
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
    let (answer, outcome) = match handle(&mut arrival, &store, &mut account).await {
        Ok(answer) => {
            let outcome = Outcome::of_status(answer.response.status());
            (answer, outcome)
        }
        Err(failure) => (Answered::plain(failure.respond(&id)?), failure.outcome),
    };
    let outcome = if account.abandoned { Outcome::ClientGone } else { outcome };
    finish(&answer.response, &arrival, &account, &store).await?;
    if config.log_calls {
        log_call(&Line::new(&arrival, &account, answer.response.status(), outcome));
    }
    let event = record::event(&arrival, &account, &answer.response, outcome);
    answer.deliver(event, &store)
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

async fn handle(arrival: &mut Arrival, store: &Store<'_>, account: &mut Account) -> Handled<Answered> {
    if arrival.header(LOOP_MARK).is_some() {
        return Err(GatewayError::LoopDetected.into());
    }
    if let Some(response) = preflight(arrival, store).await? {
        return Ok(Answered::plain(response));
    }
    let secret = present(arrival, store.config)?;
    let (permit, routes) = permit(&secret, arrival, store, account).await?;
    let token = permit.token();
    if let Some(notice) = &permit.route().settings.maintenance {
        return Err(Box::new(Failure::maintenance(notice)));
    }
    let fault = if token.inject_faults { injected(arrival).await? } else { Fault::default() };
    let mut body = Body::of(arrival);
    check_size(&permit, arrival, &body)?;
    let mut ask = Ask::default();
    let mut ai_call = None;
    if let Some(settings) = permit.ai_before(&arrival.method, &routes.table) {
        let prices = prices(store.env, store.request_id).await;
        let asked = ai::read_ask(&settings, &token.limits, arrival, &mut body).await.map_err(|cause| {
            log(store.request_id, "the request's body broke off", &format!("{cause:?}"));
            GatewayError::BadGateway
        })?;
        if token.limits.has_budget() {
            ask = ai::most(asked.as_ref(), &token.limits, &prices);
        }
        ai_call = Some(AiCall { settings, prices, model: asked.and_then(|ask| ask.model) });
    }
    let admission = limiter::take(&permit, &arrival.call_id, ask, store).await?;
    let Admission { uses, reservation } = admission;
    account.uses = uses;
    match call(&permit, body, arrival, &routes, store, account).await {
        Ok((response, socket)) => {
            // A second upstream may speak another provider's API, with which its response is read.
            if let (Some(call), Some(settings)) = (&mut ai_call, account.answered_ai.take()) {
                call.settings = settings;
            }
            Ok(Answered { response, reservation, cut: fault.cut, socket, ai: ai_call })
        }
        Err(failure) => {
            if let Some(reservation) = reservation {
                // What was sent and not answered in time may have been charged for.
                let settlement = match failure.outcome {
                    Outcome::Timeout => Settlement::default(),
                    _ => Settlement::NOTHING,
                };
                reservation.settle(settlement, &store.keep());
            }
            Err(failure)
        }
    }
}

/// The upstream called, its answer ready to be handed on.
async fn call(
    permit: &Permit,
    mut body: Body,
    arrival: &Arrival,
    routes: &Routes,
    store: &Store<'_>,
    account: &mut Account,
) -> Handled<(Response, Option<websocket::Joined>)> {
    let sent_at = now();
    account.auth_ms = sent_at - arrival.at;
    // A client that hangs up ends its request here and now, unless something is waited for: so the call
    // is recorded all the same.
    let (answered, waited_for) = oneshot::channel::<()>();
    store.context.wait_until(async move {
        let _ = waited_for.await;
    });
    // Asked for later it would not know of what happened before.
    let client = arrival.request.signal();
    let answer = upstream::forward(permit, &mut body, arrival, routes, store).await;
    account.abandoned = client.aborted();
    drop(answered);
    account.upstream_ms = now() - sent_at;
    let route = permit.route();
    let answer = answer.map_err(|failed| {
        log(store.request_id, "upstream call failed", &format!("route {}: {}", route.id, failed.cause));
        Box::<Failure>::from(failed.error)
    })?;
    account.answered_ai = answer.ai();
    let failed = |cause: &dyn std::fmt::Debug| {
        log(store.request_id, "answer cannot be handed on", &format!("{cause:?}"));
        Box::<Failure>::from(GatewayError::BadGateway)
    };
    if arrival.is_websocket
        && let Some(socket) = websocket::of(&answer.response)
    {
        let offered = arrival.header(Carrier::WebSocketProtocol.header());
        let joined = websocket::join(socket, &answer.response, offered.as_deref());
        return joined.map(|(response, joined)| (response, Some(joined))).map_err(|e| failed(&e));
    }
    answer.returned(arrival).map(|response| (response, None)).map_err(|e| failed(&e))
}

/// What the call asks to go wrong; its latency has passed when this returns.
async fn injected(arrival: &Arrival) -> Handled<Fault> {
    let Some(text) = arrival.header(FAULT) else { return Ok(Fault::default()) };
    let fault = Fault::parse(&text).map_err(|_| GatewayError::BadFault)?;
    if fault.latency_ms > 0 {
        Delay::from(Duration::from_millis(fault.latency_ms.into())).await;
    }
    match fault.status {
        Some(status) => Err(Box::new(Failure::injected(status))),
        None => Ok(fault),
    }
}

fn check_size(permit: &Permit, arrival: &Arrival, body: &Body) -> Handled<()> {
    let (Some(most), Body::Stream) = (permit.token().limits.body_bytes, body) else { return Ok(()) };
    match arrival.content_length() {
        Some(length) if length <= most => Ok(()),
        Some(_) => Err(GatewayError::PayloadTooLarge.into()),
        None => Err(GatewayError::LengthRequired.into()),
    }
}

/// The token that the call presents, its carrier noted. Costs no KV read.
fn present(arrival: &mut Arrival, config: &Config) -> Handled<TokenSecret> {
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
) -> Handled<(Permit, Rc<Routes>)> {
    let unknown = || {
        meter::count_unknown_token();
        Box::<Failure>::from(GatewayError::InvalidApiKey)
    };
    if secret.form() == Form::Legacy {
        // Without a check anything of this shape could be a token: look only while there are any.
        let routes = store.routes().await.map_err(|e| GatewayError::from(&e))?;
        if !routes.is_some_and(|routes| routes.table.legacy_tokens) {
            return Err(unknown());
        }
    }
    let hash = secret.hash();
    let (token, routes) = join(store.token(&hash), store.routes()).await;
    let token = token.map_err(|cause| {
        log(store.request_id, "token cannot be read", &cause);
        GatewayError::from(&cause)
    })?;
    let token = token.ok_or_else(unknown)?;
    account.token = Some(Arc::clone(&token));
    account.secret = hash.as_str().get(..SECRET_HEAD).map(str::to_owned);
    let routes = routes.map_err(|e| GatewayError::from(&e))?;
    let routes = routes.ok_or(GatewayError::RoutesNotConfigured)?;
    let call =
        Call { method: &arrival.method, path: &arrival.path, client_ip: arrival.client_ip, now: arrival.at };
    account.route = routes.table.find(&arrival.path).cloned();
    let permit = decide(&token, &routes.table, &call).map_err(|denial| Box::new(Failure::from(denial)))?;
    Ok((permit, routes))
}

/// The answer to a CORS preflight, where the route lists the origin. It carries no token, so it
/// cannot be asked for one.
async fn preflight(arrival: &Arrival, store: &Store<'_>) -> Handled<Option<Response>> {
    if arrival.method != "OPTIONS" {
        return Ok(None);
    }
    let wanted = arrival.header("access-control-request-method");
    let (Some(origin), Some(wanted)) = (&arrival.origin, wanted) else { return Ok(None) };
    let routes = store.routes().await.map_err(|e| GatewayError::from(&e))?;
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

/// What every response carries, errors included: request id, timing, how limits stand, CORS.
async fn finish(response: &Response, arrival: &Arrival, account: &Account, store: &Store<'_>) -> Result<()> {
    let failed = |cause: JsValue| Error::from(cause);
    let headers = response.headers();
    headers.set(REQUEST_ID, &arrival.request_id).map_err(failed)?;
    let timing = format!("auth;dur={}, upstream;dur={}", account.auth_ms, account.upstream_ms);
    headers.append(SERVER_TIMING, &timing).map_err(failed)?;
    limiter::tell(response, &account.uses)?;
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

/// An answer, and what its end is waited for.
#[derive(Debug)]
struct Answered {
    response: Response,
    reservation: Option<limiter::Reservation>,
    cut: Option<u64>,
    socket: Option<websocket::Joined>,
    ai: Option<AiCall>,
}

/// What is needed to know an AI call's cost when its answer has ended.
#[derive(Debug)]
struct AiCall {
    settings: AiSettings,
    prices: Rc<PriceList>,
    /// As the request names it, where it was read.
    model: Option<String>,
}

impl Answered {
    fn plain(response: Response) -> Self {
        Self { response, reservation: None, cut: None, socket: None, ai: None }
    }

    /// Records the call and settles what was reserved: now, or when the answer has ended where that
    /// makes a difference.
    fn deliver(self, event: Option<UsageEvent>, store: &Store<'_>) -> Result<Response> {
        let Some(mut event) = event else { return Ok(self.response) };
        let keep = store.keep();
        let reservation = self.reservation;
        if let Some(socket) = self.socket {
            store.context.wait_until(async move {
                let traffic = websocket::pass(socket).await;
                event.duration_ms = u32::try_from(now() - event.at).ok();
                (event.bytes_in, event.bytes_out) = (Some(traffic.bytes_in), Some(traffic.bytes_out));
                end(event, reservation, Settlement::NOTHING, &keep);
            });
            return Ok(self.response);
        }
        let ai = self.ai.and_then(|call| Some((ai::reader(&call.settings, &self.response)?, call)));
        if reservation.is_none() && self.cut.is_none() && ai.is_none() {
            meter::record(event, &keep);
            return Ok(self.response);
        }
        let (ended, waited_for) = oneshot::channel::<()>();
        store.context.wait_until(async move {
            let _ = waited_for.await;
        });
        let (reader, call) = ai.unzip();
        let mut watcher = Watcher::new(move |seen: Seen| {
            let _ended = ended;
            event.bytes_out = Some(seen.bytes);
            event.duration_ms = u32::try_from(now() - event.at).ok();
            match seen.end {
                End::Whole => {}
                End::Broken => event.outcome = Outcome::UpstreamError,
                End::Abandoned => event.outcome = Outcome::ClientGone,
                End::Cut => event.outcome = Outcome::InjectedFault,
            }
            let is_whole = seen.end == End::Whole;
            let priced =
                |(usage, call): (AiUsage, AiCall)| ai::priced(usage, call.model, &call.prices, is_whole);
            event.ai = seen.ai.zip(call).map(priced);
            let used = event.ai.as_ref().map_or(Settlement::NOTHING, |ai| ai::settlement(ai, is_whole));
            end(event, reservation, used, &keep);
        });
        watcher.reader = reader;
        watcher.cut = self.cut;
        watched(self.response, watcher).map_err(Error::from)
    }
}

fn end(event: UsageEvent, reservation: Option<limiter::Reservation>, used: Settlement, keep: &Keep) {
    if let Some(reservation) = reservation {
        reservation.settle(used, keep);
    }
    meter::record(event, keep);
}
