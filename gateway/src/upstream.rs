//! The call to the upstream and its answer on the way back. Bodies stay streams that never enter
//! wasm.

use crate::serve::Arrival;
use domain::access::Permit;
use domain::credential::CredentialEdit;
use domain::error::GatewayError;
use domain::headers::{LOOP_MARK, REQUEST_ID, RequestHygiene, holds_token};
use domain::token::Carrier;
use domain::upstream::{build_url, location_without, map_location, map_set_cookie, without_parameter};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use url::Url;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, Request, RequestInit, RequestRedirect, Response, ResponseInit, WorkerGlobalScope};
use worker::{Delay, worker_sys::ext::HeadersExt};

/// Why there is no answer, with the cause for the log.
#[derive(Debug)]
pub struct UpstreamError {
    pub error: GatewayError,
    pub cause: String,
}

fn unreachable(cause: &JsValue) -> UpstreamError {
    UpstreamError { error: GatewayError::BadGateway, cause: format!("{cause:?}") }
}

/// Sends a permitted call on. It takes the permit, so a call that skipped the decision does not
/// compile.
///
/// # Errors
/// 404 where no URL can be built, 502 where the upstream cannot be reached, 504 where its first
/// byte does not come in the route's time. Nothing is tried twice: the body is a stream and may
/// have been sent.
pub async fn forward(
    permit: &Permit,
    credential: Option<&CredentialEdit>,
    arrival: &Arrival,
) -> Result<(Response, Url), UpstreamError> {
    let route = permit.route();
    let mut url = build_url(route, &arrival.path, arrival.url.query())
        .map_err(|why| UpstreamError { error: GatewayError::RouteNotFound, cause: why.to_string() })?;
    let headers = request_headers(arrival, route.forward_cookies).map_err(|e| unreachable(&e))?;
    match credential {
        Some(CredentialEdit::SetHeaders(edits)) => {
            for (name, value) in edits {
                headers.set(name, value.expose()).map_err(|e| unreachable(&e))?;
            }
        }
        Some(CredentialEdit::FetchToken(_) | CredentialEdit::Sign(_)) => {
            return Err(UpstreamError { error: GatewayError::CredentialUnavailable, cause: String::new() });
        }
        Some(CredentialEdit::SetQuery { parameter, value }) => {
            let others = url.query().and_then(|query| without_parameter(query, parameter));
            url.set_query(others.as_deref());
            url.query_pairs_mut().append_pair(parameter, value.expose());
        }
        None => {}
    }

    // Made from the client's request, so that its method and body come along as they are: a body set
    // by itself is refused for GET and HEAD, and `Content-Length: 0` counts as one.
    let given: &RequestInit = arrival.request.unchecked_ref();
    let request = Request::new_with_str_and_init(url.as_str(), given).map_err(|e| unreachable(&e))?;
    let init = RequestInit::new();
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let answer = pin!(JsFuture::from(scope.fetch_with_request_and_init(&request, &init)));
    // No AbortSignal: one on the fetch would also end the body after the first byte. A call given
    // up here ends with this request.
    let timeout = pin!(Delay::from(Duration::from_millis(u64::from(route.timeout_ms))));
    match select(answer, timeout).await {
        Either::Left((answer, _)) => {
            let response = answer.and_then(JsCast::dyn_into::<Response>).map_err(|e| unreachable(&e))?;
            Ok((response, url))
        }
        Either::Right(_) => Err(UpstreamError {
            error: GatewayError::GatewayTimeout,
            cause: format!("no first byte within {} ms", route.timeout_ms),
        }),
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
        let is_second_token = Carrier::ALL.iter().find(|carrier| carrier.header() == name).is_some_and(
            |carrier| matches!(given.get(&name), Ok(Some(value)) if holds_token(*carrier, &value)),
        );
        if is_second_token || !hygiene.forwards(&name) {
            headers.delete(&name)?;
        }
    }
    headers.set(REQUEST_ID, &arrival.request_id)?;
    headers.set(LOOP_MARK, "1")?;
    Ok(headers)
}

/// The upstream's answer as the client gets it: status, headers and body as they are, `Location`
/// and `Set-Cookie` mapped back.
pub fn returned(
    upstream: &Response,
    sent_to: &Url,
    permit: &Permit,
    credential: Option<&CredentialEdit>,
    gateway: &str,
) -> Result<Response, JsValue> {
    // An upstream response's headers are immutable; a response made from it has its own copy,
    // every `Set-Cookie` included.
    let init: &ResponseInit = upstream.unchecked_ref();
    let response = Response::new_with_opt_readable_stream_and_init(upstream.body().as_ref(), init)?;
    let headers = response.headers();
    let route = permit.route();
    if let Some(location) = headers.get("location")? {
        // An upstream that keeps the query on a redirect would hand the vendor's key to the client.
        let location = match credential {
            Some(CredentialEdit::SetQuery { parameter, .. }) => location_without(&location, parameter),
            _ => location,
        };
        headers.set("location", &map_location(&location, sent_to, route, gateway).unwrap_or(location))?;
    }
    if headers.has("set-cookie")? {
        let cookies = headers.get_all("set-cookie");
        headers.delete("set-cookie")?;
        for cookie in cookies.iter().filter_map(|cookie| cookie.as_string()) {
            headers.append("set-cookie", &map_set_cookie(&cookie, route))?;
        }
    }
    Ok(response)
}
