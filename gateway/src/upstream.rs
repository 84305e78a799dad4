//! The call to the upstream and its answer on the way back. Bodies stay streams that never enter
//! wasm.

use crate::arrival::Arrival;
use crate::body::Body;
use crate::credentials;
use crate::signing::{self, bad_chunks};
use crate::store::{Routes, Store, now};
use domain::access::Permit;
use domain::breaker::Breaker;
use domain::credential::CredentialEdit;
use domain::error::GatewayError;
use domain::headers::{LOOP_MARK, REQUEST_ID, RequestHygiene, holds_token};
use domain::id::RouteId;
use domain::token::{Carrier, protocols_without_token};
use domain::upstream::{build_url, location_without, map_location, map_set_cookie};
use edge::credential::{Outgoing, attach};
use edge::log::log;
use futures_util::future::{Either, select};
use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use url::Url;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Headers, Request, RequestCache, RequestInit, RequestRedirect, Response, ResponseInit, WorkerGlobalScope,
};
use worker::{Delay, worker_sys::ext::HeadersExt};

/// Why there is no answer, with the cause for the log.
#[derive(Debug)]
pub struct UpstreamError {
    pub error: GatewayError,
    pub cause: String,
}

impl UpstreamError {
    pub fn new(error: GatewayError, cause: impl Into<String>) -> Self {
        Self { error, cause: cause.into() }
    }
}

pub fn unreachable(cause: &JsValue) -> UpstreamError {
    UpstreamError::new(GatewayError::BadGateway, format!("{cause:?}"))
}

/// An upstream's answer, and what is needed to hand it on.
#[derive(Debug)]
pub struct Answer {
    pub response: Response,
    sent_to: Url,
    credential: Option<Rc<CredentialEdit>>,
    /// The permit of the upstream that answered.
    permit: Permit,
}

/// Sends a permitted call on, to the route's second upstream where it has one and the first fails. It
/// takes the permit, so a call that skipped the decision does not compile.
///
/// # Errors
/// 404 where no URL can be built, 413 where a body cannot be signed, 502 where the upstream cannot be
/// reached or its credential not be attached, 504 where its first byte does not come in the route's
/// time.
pub async fn forward(
    permit: &Permit,
    body: &mut Body,
    arrival: &Arrival,
    routes: &Routes,
    store: &Store<'_>,
) -> Result<Answer, UpstreamError> {
    let Some(failover) = &permit.route().settings.failover else {
        return attempt(permit, body, arrival, routes, store).await;
    };
    let id = &permit.route().id;
    body.take_in(arrival).await.map_err(|e| unreachable(&e))?;
    let is_idempotent =
        matches!(arrival.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE");
    let second = permit
        .failover(&routes.table)
        .filter(|_| body.can_repeat() && (is_idempotent || failover.any_method));
    let Some(second) = second else {
        return attempt(permit, body, arrival, routes, store).await;
    };
    if !breaker(id, |breaker| breaker.admits(now())) {
        return attempt(&second, body, arrival, routes, store).await;
    }
    let first = attempt(permit, body, arrival, routes, store).await;
    let failed = match &first {
        Ok(answer) => is_away(answer.response.status()),
        Err(failed) => matches!(failed.error, GatewayError::BadGateway | GatewayError::GatewayTimeout),
    };
    breaker(id, |breaker| breaker.report(!failed, now()));
    if !failed {
        return first;
    }
    log(store.request_id, "second upstream tried", &format!("route {id}"));
    match attempt(&second, body, arrival, routes, store).await {
        Ok(answer) => {
            if let Ok(Some(unread)) = first.map(|answer| answer.response.body()) {
                // The first answer's connection is let go.
                let _ = unread.cancel();
            }
            Ok(answer)
        }
        Err(failed) => first.or(Err(failed)),
    }
}

/// Answers of a proxy whose upstream is away. 52x and 530 are Cloudflare's own for the same.
fn is_away(status: u16) -> bool {
    matches!(status, 502..=504 | 521..=523 | 525 | 526 | 530)
}

fn breaker<T>(route: &RouteId, with: impl FnOnce(&mut Breaker) -> T) -> T {
    thread_local!(static BREAKERS: RefCell<HashMap<RouteId, Breaker>> = RefCell::default());
    BREAKERS.with_borrow_mut(|breakers| with(breakers.entry(route.clone()).or_default()))
}

/// One upstream, once; twice where it refuses a bearer token that was fetched some time ago.
async fn attempt(
    permit: &Permit,
    body: &mut Body,
    arrival: &Arrival,
    routes: &Routes,
    store: &Store<'_>,
) -> Result<Answer, UpstreamError> {
    let route = permit.route();
    let credential = credentials::for_call(permit, routes, store)
        .await
        .map_err(|error| UpstreamError::new(error, "its credential cannot be opened"))?;
    let prepared = signing::prepare(credential.as_deref(), body, arrival).await?;
    let body = prepared.body.as_ref().unwrap_or(body);
    let mut tries = 0;
    loop {
        tries += 1;
        let url = build_url(route, &arrival.path, arrival.url.query())
            .map_err(|why| UpstreamError::new(GatewayError::RouteNotFound, why.to_string()))?;
        let headers = request_headers(arrival, route.forward_cookies).map_err(|e| unreachable(&e))?;
        if matches!(body, Body::Whole(_)) {
            // The runtime announces the length itself; it may not be the client's.
            headers.delete("content-length").map_err(|e| unreachable(&e))?;
        }
        prepared.edit(&headers).map_err(|e| unreachable(&e))?;
        let payload = prepared.payload.clone();
        let mut call = Outgoing { method: &arrival.method, url, headers, payload };
        let fetched = match credential.as_deref() {
            Some(edit) => attach(edit, &mut call, now())
                .await
                .map_err(|why| UpstreamError::new(GatewayError::CredentialUnavailable, why.to_string()))?,
            None => None,
        };
        let response = send(&call, body, arrival, route.timeout_ms).await?;
        if response.status() == 401
            && let (Some(CredentialEdit::FetchToken(client)), Some(token)) = (credential.as_deref(), &fetched)
        {
            edge::oauth::forget(client, token);
            if tries == 1 && body.can_repeat() {
                continue;
            }
        }
        return Ok(Answer { response, sent_to: call.url, credential, permit: permit.clone() });
    }
}

async fn send(
    call: &Outgoing<'_>,
    body: &Body,
    arrival: &Arrival,
    timeout_ms: u32,
) -> Result<Response, UpstreamError> {
    let init = RequestInit::new();
    init.set_headers(&call.headers);
    init.set_redirect(RequestRedirect::Manual);
    // An upstream's answers are its client's, and another client's credential may have asked for them.
    init.set_cache(RequestCache::NoStore);
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let fetch = match body {
        Body::None => {
            init.set_method(call.method);
            scope.fetch_with_str_and_init(call.url.as_str(), &init)
        }
        Body::Whole(_) if arrival.must_keep_request() => {
            // A search of OpenSearch's. A copy of the request can be sent again.
            let given = arrival.request.clone().map_err(|e| unreachable(&e))?;
            let request = Request::new_with_str_and_init(call.url.as_str(), given.unchecked_ref());
            scope.fetch_with_request_and_init(&request.map_err(|e| unreachable(&e))?, &init)
        }
        Body::Whole(bytes) => {
            init.set_method(call.method);
            init.set_body(bytes);
            scope.fetch_with_str_and_init(call.url.as_str(), &init)
        }
        Body::Piped { stream, .. } => {
            init.set_method(call.method);
            init.set_body(stream);
            scope.fetch_with_str_and_init(call.url.as_str(), &init)
        }
        Body::Stream => {
            // Made from the client's request, so that its method and body come along as they are: a body
            // set by itself is refused for GET and HEAD, and `Content-Length: 0` counts as one.
            let given: &RequestInit = arrival.request.unchecked_ref();
            let request =
                Request::new_with_str_and_init(call.url.as_str(), given).map_err(|e| unreachable(&e))?;
            scope.fetch_with_request_and_init(&request, &init)
        }
    };
    // No AbortSignal: one on the fetch would also end the body after the first byte. A call given
    // up here ends with this request.
    let timeout = pin!(Delay::from(Duration::from_millis(u64::from(timeout_ms))));
    match select(pin!(JsFuture::from(fetch)), timeout).await {
        Either::Left((answer, _)) => {
            answer.and_then(JsCast::dyn_into::<Response>).map_err(|cause| match body {
                Body::Piped { broken, .. } => broken.get().map_or_else(|| unreachable(&cause), bad_chunks),
                _ => unreachable(&cause),
            })
        }
        Either::Right(_) => Err(UpstreamError::new(
            GatewayError::GatewayTimeout,
            format!("no first byte within {timeout_ms} ms"),
        )),
    }
}

/// The client's headers less what `domain` says, plus ours.
fn request_headers(arrival: &Arrival, forward_cookies: bool) -> Result<Headers, JsValue> {
    let given = arrival.request.headers();
    let connection = given.get("connection")?;
    let hygiene =
        RequestHygiene { carrier: arrival.carrier, connection: connection.as_deref(), forward_cookies };
    let headers = Headers::new_with_headers(&given)?;
    for name in given.keys() {
        let Some(name) = name?.as_string() else { continue };
        let is_second_token = Carrier::ALL.iter().any(|carrier| carrier.header() == name)
            && matches!(given.get(&name), Ok(Some(value)) if holds_token(&value));
        if is_second_token || !hygiene.forwards(&name) {
            headers.delete(&name)?;
        }
    }
    if arrival.is_websocket {
        headers.set("upgrade", "websocket")?;
        let offered = given.get(Carrier::WebSocketProtocol.header())?;
        if let Some(protocols) = offered.as_deref().and_then(protocols_without_token) {
            headers.set(Carrier::WebSocketProtocol.header(), &protocols)?;
        }
    }
    headers.set(REQUEST_ID, &arrival.request_id)?;
    headers.set(LOOP_MARK, "1")?;
    Ok(headers)
}

impl Answer {
    /// The upstream's answer as the client gets it: status, headers and body as they are, `Location`
    /// and `Set-Cookie` mapped back.
    pub fn returned(&self, arrival: &Arrival) -> Result<Response, JsValue> {
        // An upstream response's headers are immutable; a response made from it has its own copy,
        // every `Set-Cookie` included.
        let init: &ResponseInit = self.response.unchecked_ref();
        let response = Response::new_with_opt_readable_stream_and_init(self.response.body().as_ref(), init)?;
        let headers = response.headers();
        let route = self.permit.route();
        if let Some(location) = headers.get("location")? {
            // An upstream that keeps the query on a redirect would hand the vendor's key to the client.
            let location = match self.credential.as_deref() {
                Some(CredentialEdit::SetQuery { parameter, .. }) => location_without(&location, parameter),
                _ => location,
            };
            let mapped = map_location(&location, &self.sent_to, route, &arrival.gateway());
            headers.set("location", &mapped.unwrap_or(location))?;
        }
        if headers.has("set-cookie")? {
            let cookies = headers.get_all("set-cookie");
            headers.delete("set-cookie")?;
            for cookie in cookies.iter().filter_map(|cookie| cookie.as_string()) {
                headers.append("set-cookie", &map_set_cookie(&cookie, route))?;
            }
        }
        if arrival.origin.is_some() {
            // Which browsers may read the answer is the route's to say, not the upstream's.
            for name in CORS_HEADERS {
                headers.delete(name)?;
            }
        }
        Ok(response)
    }
}

const CORS_HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "access-control-max-age",
];
