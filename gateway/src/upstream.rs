//! The call to the upstream and its response on the way back. Bodies stay streams that never enter wasm.

use crate::arrival::Arrival;
use crate::body::Body;
use crate::credentials;
use crate::error::{UpstreamError, unreachable};
use crate::headers;
use crate::routes::{Ready, Routes};
use crate::signing::{self, bad_chunks};
use crate::store::Store;
use domain::access::Permit;
use domain::ai::{Tried, Upstream};
use domain::credential::CredentialEdit;
use domain::error::GatewayError;
use domain::id::RouteId;
use domain::secret::Secret;
use domain::upstream::breaker::Breaker;
use domain::upstream::build_url;
use domain::upstream::headers::response::{Edits, Returning};
use domain::upstream::headers::search::Guarded;
use domain::upstream::headers::{LOOP_MARK, REQUEST_ID, RequestHygiene, query_without_token};
use domain::upstream::target::RouteCredential;
use edge::clock::now;
use edge::credential::{Outgoing, attach};
use edge::log::{Source, log};
use edge::timeout::within;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use url::Url;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Headers, Request, RequestCache, RequestInit, RequestRedirect, Response, ResponseInit, WorkerGlobalScope,
};

/// An upstream's response, and everything required to pass it on.
#[derive(Debug)]
pub struct Answer {
    pub response: Response,
    /// The address that was called, without the credential.
    sent_to: Url,
    credential: Option<Rc<Ready>>,
    /// A secret of this call alone: a fetched token or a signature.
    issued: Option<Secret>,
    /// The permit for the upstream that responded.
    permit: Permit,
}

/// Sends a permitted call on, and notes what happened at each upstream. If the first upstream fails, the call
/// goes to the route's second one, if there is one. The permit is a parameter, so code that skips the decision
/// does not compile.
///
/// # Errors
/// 404 if no URL can be built, 413 if a body cannot be signed, 502 if the upstream cannot be reached or
/// its credential cannot be attached, 504 if its first byte does not arrive within the route's time.
pub async fn forward(
    permit: &Permit,
    body: &mut Body,
    arrival: &Arrival,
    routes: &Routes,
    store: &Store<'_>,
    tried: &mut Tried,
) -> Result<Answer, UpstreamError> {
    let id = &permit.route().rule.id;
    let mut attempt = async |permit: &Permit, upstream: Upstream, body: &mut Body| {
        let answer = attempt(permit, body, arrival, routes, store).await;
        match &answer {
            Ok(_) => tried.answered = Some(upstream),
            Err(failed) if failed.error == GatewayError::GatewayTimeout => tried.timed_out.push(upstream),
            Err(_) => {}
        }
        answer
    };
    let Some(second) = permit.failover(&arrival.method, &routes.table) else {
        return attempt(permit, Upstream::First, body).await;
    };
    body.take_in(arrival).await.map_err(|e| unreachable(&e))?;
    if !body.can_repeat() {
        return attempt(permit, Upstream::First, body).await;
    }
    if !breaker(id, |breaker| breaker.admits(now())) {
        return attempt(&second, Upstream::Second, body).await;
    }
    let first = attempt(permit, Upstream::First, body).await;
    let failed = match &first {
        Ok(answer) => is_away(answer.response.status()),
        Err(failed) => matches!(failed.error, GatewayError::BadGateway | GatewayError::GatewayTimeout),
    };
    breaker(id, |breaker| breaker.report(!failed, now()));
    if !failed {
        return first;
    }
    log(Source::Request(store.request_id), "second upstream tried", &format!("route {id}"));
    match attempt(&second, Upstream::Second, body).await {
        Ok(answer) => {
            if let Ok(first) = first {
                let_go(&first.response);
            }
            Ok(answer)
        }
        Err(failed) => match first {
            // Report the timeout of the first upstream to the client: that upstream may have carried out the call.
            Err(first) if matches!(first.error, GatewayError::GatewayTimeout) => Err(first),
            first => first.or(Err(failed)),
        },
    }
}

/// Whether a proxy reports that its upstream is down. 52x and 530 are Cloudflare's own statuses for this.
fn is_away(status: u16) -> bool {
    matches!(status, 502..=504 | 521..=523 | 525 | 526 | 530)
}

/// Uses the route's breaker, which the isolate's calls share.
fn breaker<T>(route: &RouteId, with: impl FnOnce(&mut Breaker) -> T) -> T {
    thread_local!(static BREAKERS: RefCell<HashMap<RouteId, Breaker>> = RefCell::default());
    BREAKERS.with_borrow_mut(|breakers| with(breakers.entry(route.clone()).or_default()))
}

/// Calls one upstream once, or twice if it refuses a bearer token that was fetched earlier.
async fn attempt(
    permit: &Permit,
    body: &mut Body,
    arrival: &Arrival,
    routes: &Routes,
    store: &Store<'_>,
) -> Result<Answer, UpstreamError> {
    let credential = credentials::for_call(permit, routes, store)
        .await
        .map_err(|error| UpstreamError::new(error, "its credential cannot be opened"))?;
    let edit = credential.as_deref().map(|ready| &ready.edit);
    let prepared = signing::prepare(edit, body, arrival).await?;
    let body = prepared.body.as_ref().unwrap_or(body);
    let mut tries = 0;
    loop {
        tries += 1;
        let query = arrival.url.query().and_then(|query| query_without_token(query, &arrival.presented));
        let url = build_url(permit.mount(), &arrival.path, query.as_deref())
            .map_err(|why| UpstreamError::new(GatewayError::RouteNotFound, why.to_string()))?;
        let headers = request_headers(arrival, permit).map_err(|e| unreachable(&e))?;
        if matches!(body, Body::Whole(_)) {
            // The runtime announces the length itself, and it may differ from the client's.
            headers.delete("content-length").map_err(|e| unreachable(&e))?;
        }
        prepared.edit(&headers).map_err(|e| unreachable(&e))?;
        let payload = prepared.payload.clone();
        let mut call = Outgoing { method: &arrival.method, url, headers, payload };
        let bare = matches!(edit, Some(CredentialEdit::SetQuery { .. })).then(|| call.url.clone());
        let fetched = match edit {
            Some(edit) => attach(edit, &mut call, now())
                .await
                .map_err(|why| UpstreamError::new(GatewayError::CredentialUnavailable, why.to_string()))?,
            None => None,
        };
        if let Some(CredentialEdit::FetchToken(client)) = edit
            && let Some(refresh) = edge::oauth::refresh_ahead(client)
        {
            store.context.wait_until(refresh);
        }
        let response = send(&call, body, arrival, permit.route().behaviour.timeout_ms).await?;
        if response.status() == 401
            && let (Some(CredentialEdit::FetchToken(client)), Some(token)) = (edit, &fetched)
        {
            edge::oauth::forget(client, token);
            if tries == 1 && body.can_repeat() {
                let_go(&response);
                continue;
            }
        }
        let issued = match edit {
            Some(CredentialEdit::Sign(_)) => signature(&call.headers),
            _ => fetched,
        };
        let sent_to = bare.unwrap_or(call.url);
        return Ok(Answer { response, sent_to, credential, issued, permit: permit.clone() });
    }
}

/// Returns the signature that a request carries.
fn signature(headers: &Headers) -> Option<Secret> {
    let authorization = headers.get("authorization").ok().flatten()?;
    authorization.rsplit_once("Signature=").map(|(_, signature)| Secret::new(signature.to_owned()))
}

/// Closes the connection of a response that nobody will read.
fn let_go(response: &Response) {
    if let Some(unread) = response.body() {
        let _ = unread.cancel();
    }
}

/// Sends the request and waits for the first byte of the response.
async fn send(
    call: &Outgoing<'_>,
    body: &Body,
    arrival: &Arrival,
    timeout_ms: u32,
) -> Result<Response, UpstreamError> {
    let init = RequestInit::new();
    init.set_headers(&call.headers);
    init.set_redirect(RequestRedirect::Manual);
    // A cached response may have been made for another client's credential.
    init.set_cache(RequestCache::NoStore);
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let fetch = match body {
        Body::None => {
            init.set_method(call.method);
            scope.fetch_with_str_and_init(call.url.as_str(), &init)
        }
        Body::Whole(_) if arrival.must_keep_request() => {
            // OpenSearch searches by GET with a body. A copy of the request can be sent again.
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
            // Made from the client's request, so that its method and body stay as they are. A body that is
            // set separately is refused for GET and HEAD, and `Content-Length: 0` counts as one.
            let given: &RequestInit = arrival.request.unchecked_ref();
            let request =
                Request::new_with_str_and_init(call.url.as_str(), given).map_err(|e| unreachable(&e))?;
            scope.fetch_with_request_and_init(&request, &init)
        }
    };
    // No AbortSignal: it would also end the body after the first byte. A fetch that timed out ends with
    // this request.
    let response = within(timeout_ms.into(), JsFuture::from(fetch)).await.map_err(|_| {
        UpstreamError::new(GatewayError::GatewayTimeout, format!("no first byte within {timeout_ms} ms"))
    })?;
    response.and_then(JsCast::dyn_into::<Response>).map_err(|cause| match body {
        Body::Piped { broken, .. } => broken.get().map_or_else(|| unreachable(&cause), bad_chunks),
        _ => unreachable(&cause),
    })
}

/// Returns the client's headers with the changes that `domain` decides on, plus ours.
fn request_headers(arrival: &Arrival, permit: &Permit) -> Result<Headers, JsValue> {
    let connection = arrival.header("connection");
    let behaviour = &permit.route().behaviour;
    let hygiene = RequestHygiene {
        carrier: arrival.carrier,
        connection: connection.as_deref(),
        forward_cookies: behaviour.forward_cookies,
        has_credential: permit.origin().target.credential != RouteCredential::None,
        answers_cors: !behaviour.cors_origins.is_empty(),
    };
    let headers = Headers::new_with_headers(&arrival.request.headers())?;
    for (name, value) in hygiene.edits(arrival.headers(), &arrival.presented) {
        match value {
            Some(value) => headers.set(name, &value)?,
            None => headers.delete(name)?,
        }
    }
    if arrival.is_websocket {
        headers.set("upgrade", "websocket")?;
    }
    if arrival.is_metered {
        // We cannot read a browser's `zstd`, and a stream compressed again would lose its flushes.
        headers.set("accept-encoding", "identity")?;
    }
    headers.set(REQUEST_ID, &arrival.request_id)?;
    headers.set(LOOP_MARK, arrival.hop.as_deref().unwrap_or_default())?;
    Ok(headers)
}

impl Answer {
    /// Returns the response for the client: status and body as they are, headers as `domain` decides.
    pub fn returned(&self, arrival: &Arrival, store: &Store<'_>) -> Result<Response, JsValue> {
        // An upstream response's headers are immutable. A response made from it has its own copy, with
        // every `Set-Cookie`.
        let init: &ResponseInit = self.response.unchecked_ref();
        let response = Response::new_with_opt_readable_stream_and_init(self.response.body().as_ref(), init)?;
        let headers = response.headers();
        let none = Guarded::default();
        let lasting = self.credential.as_deref().map_or(&none, |ready| &ready.guarded);
        let with_issued = self.issued.clone().map(|issued| lasting.and([issued]));
        let returning = Returning {
            mount: self.permit.mount(),
            sent_to: &self.sent_to,
            gateway: &arrival.gateway(),
            request_id: &arrival.request_id,
            guarded: with_issued.as_ref().unwrap_or(lasting),
            parameter: match self.credential.as_deref().map(|ready| &ready.edit) {
                Some(CredentialEdit::SetQuery { parameter, .. }) => Some(parameter),
                _ => None,
            },
        };
        let Edits { edits, withheld } = returning.edits(&headers::read(&headers)?);
        headers::carry_out(&edits, &headers)?;
        if !withheld.is_empty() {
            let route = &self.permit.origin().rule.id;
            let names = withheld.join(", ");
            log(
                Source::Request(store.request_id),
                "headers withheld: they hold the credential",
                &format!("route {route}: {names}"),
            );
        }
        Ok(response)
    }
}
