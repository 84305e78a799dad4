//! One call from arrival to response.

use crate::ai::{self, AiCall};
use crate::answer::tell;
use crate::arrival::Arrival;
use crate::body::Body;
use crate::config::Config;
use crate::error::Failure;
use crate::limiter::{self, Admission};
use crate::record::{self, Account};
use crate::routes::Routes;
use crate::store::{Keep, Store, prices};
use crate::upstream;
use crate::watch::{End, Seen, Watcher, watched};
use crate::{credentials, meter, websocket};

use domain::access::carrier::{Carrier, NotPresented, presented};
use domain::access::rule::Rule;
use domain::access::{Call, Denial, Permit, decide};
use domain::ai::Charge;
use domain::error::GatewayError;
use domain::health::Health;
use domain::limit::ledger::{Ask, Settlement};
use domain::route::Route;
use domain::secret::Secret;
use domain::token::{Form, TokenHash, TokenSecret};
use domain::upstream::cors::{self, PREFLIGHT_MAX_AGE_S};
use domain::upstream::fault::{FAULT, Fault};
use domain::upstream::headers::SERVER_TIMING;
use domain::upstream::headers::search::Guarded;
use domain::upstream::target::RouteCredential;
use domain::usage::outcome::Outcome;
use domain::usage::{AiUsage, SECRET_HEAD, UsageEvent};
use edge::clock::{now, sleep};
use edge::http::{set_cors, set_preflight, set_request_id};
use edge::log::{Source, log};
use futures_channel::oneshot;
use futures_util::future::join;
use std::rc::Rc;
use std::sync::Arc;
use web_sys::{Request, Response};
use worker::{Context, Env, Error, Result};

type Handled<T> = std::result::Result<T, Box<Failure>>;

impl From<GatewayError> for Box<Failure> {
    fn from(error: GatewayError) -> Self {
        Box::new(error.into())
    }
}

/// Serves one call. In order: health · loop · preflight · token syntax · token record · decision
/// (state, expiry, client address, route, method, scope) · maintenance · limits · credential ·
/// upstream · response · usage.
pub async fn serve(request: Request, env: &Env, context: &Rc<Context>) -> Result<Response> {
    let mut arrival = Arrival::read(request)?;
    if arrival.path.as_str() == "/health" {
        return health(&arrival);
    }
    let config = match Config::get(env) {
        Ok(config) => config,
        Err(cause) => {
            log(Source::Request(&arrival.request_id), "configuration cannot be used", &cause);
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
        record::line(&arrival, &account, answer.response.status(), outcome).log();
    }
    let event = record::event(&arrival, &account, &answer.response, outcome);
    answer.deliver(event, &store)
}

fn health(arrival: &Arrival) -> Result<Response> {
    let health =
        Health { status: "ok".into(), service: "gateway".into(), version: env!("CARGO_PKG_VERSION").into() };
    let response = worker::Response::from_json(&health)?;
    set_request_id(&response.headers().0, &arrival.request_id)?;
    response.headers().set(SERVER_TIMING, "auth;dur=0, upstream;dur=0")?;
    response.headers().set("cache-control", "no-store")?;
    Ok(response.into())
}

async fn handle(arrival: &mut Arrival, store: &Store<'_>, account: &mut Account) -> Handled<Answered> {
    if arrival.hop.is_none() {
        return Err(GatewayError::LoopDetected.into());
    }
    if let Some(response) = preflight(arrival, store).await? {
        return Ok(Answered::plain(response));
    }
    let secret = present(arrival, store.config)?;
    let (permit, routes) = permit(&secret, arrival, store, account).await?;
    let token = permit.token();
    if let Some(notice) = &permit.route().behaviour.settings.maintenance {
        return Err(Box::new(Failure::maintenance(notice)));
    }
    let fault = if token.inject_faults { injected(arrival).await? } else { Fault::default() };
    let mut body = Body::of(arrival);
    check_size(&permit, arrival, &body)?;
    let mut ask = Ask::default();
    let mut ai_call = None;
    if let Some(metered) = ai::metered(&permit, arrival, &routes.table) {
        arrival.is_metered = true;
        let prices = prices(store).await;
        let asked = ai::read_ask(&metered, token.has_budget(), arrival, &mut body).await;
        let asked = asked.map_err(|cause| {
            log(Source::Request(store.request_id), "the request's body broke off", &format!("{cause:?}"));
            GatewayError::BadGateway
        })?;
        if token.has_budget() {
            ask = ai::most(asked.as_ref(), &token.limits, &prices);
        }
        ai_call = Some(AiCall { at: metered.at, prices, model: asked.and_then(|ask| ask.model) });
    }
    let admission = match limiter::take_leased(&permit, ask, now()) {
        Some(admission) => admission,
        None => limiter::take(&permit, &arrival.call_id, ask, store).await?,
    };
    let Admission { uses, reservation, .. } = admission;
    account.uses = uses;
    let called = call(&permit, body, arrival, &routes, store, account).await;
    let charge = |ok| ai_call.as_ref().map_or(Charge::Nothing, |call| call.at.charge(&account.tried, ok));
    match called {
        Ok((response, socket)) => {
            let charge = charge(socket.is_some() || response.ok());
            let ai = ai_call.filter(|_| charge != Charge::Nothing);
            let reads = charge == Charge::ByResponse;
            Ok(Answered { response, reservation, cut: fault.cut, socket, ai, reads })
        }
        Err(failure) => {
            if let Some(reservation) = reservation {
                let settlement = match charge(false) {
                    Charge::Nothing => Settlement::NOTHING,
                    Charge::Unknown | Charge::ByResponse => Settlement::default(),
                };
                reservation.settle(settlement, &store.keep());
            }
            Err(failure)
        }
    }
}

/// Calls the upstream and prepares its response for the client.
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
    // A client that hangs up ends its request at once, unless `wait_until` holds it. Hold it, so that the
    // call is still recorded.
    let (answered, waited_for) = oneshot::channel::<()>();
    store.context.wait_until(async move {
        let _ = waited_for.await;
    });
    // Take the signal now: one obtained later misses an abort that has already happened.
    let client = arrival.request.signal();
    let answer = upstream::forward(permit, &mut body, arrival, routes, store, &mut account.tried).await;
    account.abandoned = client.aborted();
    drop(answered);
    account.upstream_ms = now() - sent_at;
    let route = &permit.route().rule.id;
    let answer = answer.map_err(|failed| {
        log(
            Source::Request(store.request_id),
            "upstream call failed",
            &format!("route {route}: {}", failed.cause),
        );
        Box::<Failure>::from(failed.error)
    })?;
    let failed = |cause: &dyn std::fmt::Debug| {
        log(Source::Request(store.request_id), "response cannot be passed on", &format!("{cause:?}"));
        Box::<Failure>::from(GatewayError::BadGateway)
    };
    if arrival.is_websocket
        && let Some(socket) = websocket::of(&answer.response)
    {
        let offered = arrival.header(Carrier::WebSocketProtocol.header());
        let joined = websocket::join(socket, &answer.response, offered.as_deref());
        return joined.map(|(response, joined)| (response, Some(joined))).map_err(|e| failed(&e));
    }
    let status = answer.response.status();
    if !(200..=599).contains(&status) {
        log(
            Source::Request(store.request_id),
            "status cannot be passed on",
            &format!("route {route}: {status}"),
        );
        return Err(Box::new(Failure::status_unknown(status)));
    }
    answer.returned(arrival, store).map(|response| (response, None)).map_err(|e| failed(&e))
}

/// Returns the fault that the call requests. The requested latency has passed by then.
async fn injected(arrival: &Arrival) -> Handled<Fault> {
    let Some(text) = arrival.header(FAULT) else { return Ok(Fault::default()) };
    let fault = Fault::parse(&text).map_err(|_| GatewayError::BadFault)?;
    if fault.latency_ms > 0 {
        sleep(fault.latency_ms.into()).await;
    }
    match fault.status {
        Some(status) => Err(Box::new(Failure::injected(status))),
        None => Ok(fault),
    }
}

/// Refuses a body that is longer than the token allows, or does not announce its length.
fn check_size(permit: &Permit, arrival: &Arrival, body: &Body) -> Handled<()> {
    let (Some(most), Body::Stream) = (permit.token().limits.body_bytes, body) else { return Ok(()) };
    match arrival.content_length() {
        Some(length) if length <= most => Ok(()),
        Some(_) => Err(GatewayError::PayloadTooLarge.into()),
        None => Err(GatewayError::LengthRequired.into()),
    }
}

/// Finds the token that the call presents and notes it, so that it is never sent on. Costs no KV read.
fn present(arrival: &mut Arrival, config: &Config) -> Handled<TokenSecret> {
    let found = presented(|name| arrival.header(name), &config.check_keys);
    let (carrier, token) = found.map_err(|why| match why {
        NotPresented::Missing => GatewayError::MissingApiKey,
        NotPresented::Invalid => {
            meter::count_unknown_token();
            GatewayError::InvalidApiKey
        }
    })?;
    arrival.carrier = Some(carrier);
    arrival.presented = Guarded::new([Secret::new(token.expose().to_owned())]);
    Ok(token)
}

/// A refusal, and which of its reasons may have changed since they were read.
#[derive(Debug)]
struct Refusal {
    failure: Box<Failure>,
    by_token: bool,
    by_routes: bool,
}

impl Refusal {
    fn by_token(error: GatewayError) -> Self {
        Self { failure: error.into(), by_token: true, by_routes: false }
    }

    fn by_routes(error: GatewayError) -> Self {
        Self { failure: error.into(), by_token: false, by_routes: true }
    }

    fn of(denial: Denial, rule: Option<&Rule>) -> Self {
        let failure = Box::new(Failure::from(denial).with_methods_of(rule));
        let by_routes = matches!(denial, Denial::NoRoute | Denial::Method | Denial::Scope);
        let by_token = !matches!(denial, Denial::NoRoute | Denial::Method);
        Self { failure, by_token, by_routes }
    }
}

type Permitted = (Permit, Rc<Routes>);

/// Looks the token up and decides. No call is refused because of a value older than a second: the value is
/// read again first, so that a change is in force once the API has responded.
async fn permit(
    secret: &TokenSecret,
    arrival: &Arrival,
    store: &Store<'_>,
    account: &mut Account,
) -> Handled<Permitted> {
    let hash = secret.hash();
    match judge(secret, &hash, arrival, store, account).await? {
        Ok(permitted) => {
            // A credential that cannot be opened does not refuse the call yet: the route may be under
            // maintenance.
            if has_credential(&permitted, store).await {
                return Ok(permitted);
            }
            let was_read = store.refresh_routes(arrival.at).await;
            Store::note_routes_refusal();
            if !was_read {
                return Ok(permitted);
            }
        }
        Err(refusal) => {
            let again = join(
                async { refusal.by_token && store.refresh_token(&hash, secret.form(), arrival.at).await },
                async { refusal.by_routes && store.refresh_routes(arrival.at).await },
            );
            if again.await == (false, false) {
                return Err(refused(refusal, &hash, account).into());
            }
        }
    }
    judge(secret, &hash, arrival, store, account)
        .await?
        .map_err(|refusal| refused(refusal, &hash, account).into())
}

/// Notes a refusal where it must be known, and returns its failure.
fn refused(refusal: Refusal, hash: &TokenHash, account: &Account) -> Failure {
    if refusal.by_token {
        Store::note_token_refusal(hash);
    }
    if refusal.by_routes {
        Store::note_routes_refusal();
    }
    if account.token.is_none() && refusal.failure.error == GatewayError::InvalidApiKey {
        meter::count_unknown_token();
    }
    *refusal.failure
}

/// Whether the route's credential can be opened. A v1 credential is a separate KV entry and not checked here.
async fn has_credential((permit, routes): &Permitted, store: &Store<'_>) -> bool {
    matches!(permit.origin().target.credential, RouteCredential::V1(_))
        || credentials::for_call(permit, routes, store).await.is_ok()
}

/// Decides with the store's values. Token and routes are read in parallel if neither is cached.
async fn judge(
    secret: &TokenSecret,
    hash: &TokenHash,
    arrival: &Arrival,
    store: &Store<'_>,
    account: &mut Account,
) -> Handled<std::result::Result<Permitted, Refusal>> {
    if secret.form() == Form::Legacy {
        // A legacy token has no check, so any text of its shape could be one. Look only while some exist.
        let routes = store.routes().await.map_err(|e| GatewayError::from(&e))?;
        if !routes.is_some_and(|routes| routes.table.legacy_tokens) {
            return Ok(Err(Refusal::by_routes(GatewayError::InvalidApiKey)));
        }
    }
    let (token, routes) = join(store.token(hash, secret.form()), store.routes()).await;
    let token = token.map_err(|cause| {
        log(Source::Request(store.request_id), "token cannot be read", &cause);
        GatewayError::from(&cause)
    })?;
    let Some(token) = token else { return Ok(Err(Refusal::by_token(GatewayError::InvalidApiKey))) };
    account.token = Some(Arc::clone(&token));
    account.secret = hash.as_str().get(..SECRET_HEAD).map(str::to_owned);
    let routes = routes.map_err(|e| GatewayError::from(&e))?;
    let Some(routes) = routes else { return Ok(Err(Refusal::by_routes(GatewayError::RoutesNotConfigured))) };
    let call =
        Call { method: &arrival.method, path: &arrival.path, client_ip: arrival.client_ip, now: arrival.at };
    account.route = routes.table.find(&arrival.path).cloned();
    let decided = decide(&token, &routes.table, &call);
    Ok(decided
        .map(|permit| (permit, routes))
        .map_err(|denial| Refusal::of(denial, account.route.as_ref().map(|route| &route.rule))))
}

/// Answers a CORS preflight if the route lists the origin. A preflight carries no token, so none is required.
async fn preflight(arrival: &Arrival, store: &Store<'_>) -> Handled<Option<Response>> {
    if arrival.method != "OPTIONS" {
        return Ok(None);
    }
    let wanted = arrival.header("access-control-request-method");
    let (Some(origin), Some(wanted)) = (&arrival.origin, wanted) else { return Ok(None) };
    let listed = async || -> Handled<Option<Arc<Route>>> {
        let routes = store.routes().await.map_err(|e| GatewayError::from(&e))?;
        let route = routes.as_ref().and_then(|routes| routes.table.find(&arrival.path));
        Ok(route.filter(|route| cors::allow(&route.behaviour.cors_origins, origin).is_some()).cloned())
    };
    let route = match listed().await? {
        None if store.refresh_routes(arrival.at).await => listed().await?,
        found => found,
    };
    let Some(route) = route else {
        Store::note_routes_refusal();
        return Ok(None);
    };
    let methods = route.rule.methods_listed();
    let respond = || -> Result<Response> {
        let response = worker::Response::empty()?.with_status(204);
        let methods = if methods.is_empty() { &wanted } else { &methods };
        let names = arrival.header("access-control-request-headers");
        set_preflight(&response.headers().0, methods, names.as_deref(), PREFLIGHT_MAX_AGE_S)?;
        Ok(response.into())
    };
    respond().map(Some).map_err(|cause| {
        log(Source::Request(store.request_id), "preflight cannot be answered", &cause);
        GatewayError::InternalServerError.into()
    })
}

/// Sets the headers of every response, errors included: request id, timing, limits, CORS.
async fn finish(response: &Response, arrival: &Arrival, account: &Account, store: &Store<'_>) -> Result<()> {
    let headers = response.headers();
    set_request_id(&headers, &arrival.request_id)?;
    let timing = format!("auth;dur={}, upstream;dur={}", account.auth_ms, account.upstream_ms);
    headers.append(SERVER_TIMING, &timing)?;
    tell(response, &account.uses)?;
    let Some(origin) = &arrival.origin else { return Ok(()) };
    let mut route = account.route.clone();
    if route.is_none() {
        let routes = store.routes().await.ok().flatten();
        route = routes.and_then(|routes| routes.table.find(&arrival.path).cloned());
    }
    let Some(route) = route else { return Ok(()) };
    let origins = &route.behaviour.cors_origins;
    if origins.is_empty() {
        return Ok(());
    }
    let grant = cors::allow(origins, origin);
    // Every name is listed, since `*` is taken literally if cookies are sent along.
    set_cors(&headers, grant.as_ref().map(|grant| grant.origin.as_ref()), crate::headers::names)?;
    Ok(())
}

/// A response, plus the work that must run when its body ends.
#[derive(Debug)]
struct Answered {
    response: Response,
    reservation: Option<limiter::Reservation>,
    cut: Option<u64>,
    socket: Option<websocket::Joined>,
    /// The call, if it can have been charged for.
    ai: Option<AiCall>,
    /// Whether the response states the charge.
    reads: bool,
}

impl Answered {
    fn plain(response: Response) -> Self {
        Self { response, reservation: None, cut: None, socket: None, ai: None, reads: false }
    }

    /// Records the call and settles its reservation: when the response has ended if its end matters, else
    /// now.
    fn deliver(self, event: Option<UsageEvent>, store: &Store<'_>) -> Result<Response> {
        let Some(mut event) = event else { return Ok(self.response) };
        let keep = store.keep();
        let reservation = self.reservation;
        if let Some(socket) = self.socket {
            store.context.wait_until(async move {
                let traffic = websocket::pass(socket).await;
                event.duration_ms = u32::try_from(now() - event.at).ok();
                (event.bytes_in, event.bytes_out) = (Some(traffic.bytes_in), Some(traffic.bytes_out));
                // Messages are not read, so an AI's usage is unknown.
                let used = account_for(&mut event, self.ai, AiUsage::default());
                end(event, reservation, used, &keep);
            });
            return Ok(self.response);
        }
        let call = self.ai;
        let reader = if self.reads { ai::reader(&self.response) } else { None };
        if reservation.is_none() && self.cut.is_none() && reader.is_none() {
            account_for(&mut event, call, AiUsage::default());
            meter::record(event, &keep);
            return Ok(self.response);
        }
        let (ended, waited_for) = oneshot::channel::<()>();
        store.context.wait_until(async move {
            let _ = waited_for.await;
        });
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
            let used = account_for(&mut event, call, seen.ai.unwrap_or_default());
            end(event, reservation, used, &keep);
        });
        watcher.reader = reader;
        watcher.cut = self.cut;
        watched(self.response, watcher).map_err(Error::from)
    }
}

/// Notes the usage of a metered call in its event. Other calls use nothing.
fn account_for(event: &mut UsageEvent, call: Option<AiCall>, usage: AiUsage) -> Settlement {
    event.ai = call.map(|call| ai::priced(usage, call));
    event.ai.as_ref().map_or(Settlement::NOTHING, ai::settlement)
}

/// Settles and records a call that has ended.
fn end(event: UsageEvent, reservation: Option<limiter::Reservation>, used: Settlement, keep: &Keep) {
    if let Some(reservation) = reservation {
        reservation.settle(used, keep);
    }
    meter::record(event, keep);
}
