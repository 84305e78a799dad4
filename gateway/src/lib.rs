//! The gateway Worker: checks a token, swaps in the upstream's credential, streams the call
//! through, records it.
//!
//! JavaScript (`gateway/js`) receives the call and carries out what is decided here: it reads the head, sends requests,
//! passes bodies. Everything in between is decided by `domain`.
//!
//! | module | is |
//! |---|---|
//! | [`call`], [`step`] | a call as JavaScript drives it, and the steps that it carries out |
//! | [`open`] | the part of a call that ends exactly once: its usage event, its reservation |
//! | [`serve`] | the order of work, one step after the other |
//! | [`permit`], [`preflight`] | the decision on a call; calls that carry no token |
//! | [`exchange`], [`canary`] | tokens that are derived from tokens; the token by which the admin API measures changes |
//! | [`store`] | tokens, [`routes`] and prices as a call looks them up, from what the isolate has [`known`] in its [`cache`] |
//! | [`changes`] | the change feed: polls of it, and its Durable Object |
//! | [`credentials`] | opening sealed credentials, resolving v1 references |
//! | [`limiter`] | limits: counted by the token's Durable Object |
//! | [`sql`] | reading a Durable Object's database |
//! | [`upstream`], [`pool`] | the call to the upstream, with one credential or those of a pool, of which some rest |
//! | [`again`] | the wait before a call is sent again |
//! | [`mod@body`], [`signing`] | bodies that are held, signed, unwrapped |
//! | [`ai`] | budgets and usage of AI calls |
//! | [`meter`], [`metrics`] | usage events: packing and sending them after the response; calls as data points |
//! | [`error`] | failures, turned into responses in one place |

mod again;
mod ai;
mod body;
mod cache;
mod call;
mod canary;
mod changes;
mod config;
mod context;
mod credentials;
mod error;
mod exchange;
mod known;
mod limiter;
mod meter;
mod metrics;
mod open;
mod permit;
mod pool;
mod preflight;
mod routes;
mod serve;
mod signing;
mod sql;
mod step;
mod store;
mod upstream;

use crate::call::{Arrived, Call, Sent};
use crate::config::Config;
use crate::context::Context;
use crate::error::{Failure, header};
use crate::open::End;
use crate::step::Step;
use domain::call::head::Head;
use domain::call::record::Arrival;
use domain::error::GatewayError;
use domain::time::UnixMs;
use domain::token::random_id;
use domain::upstream::headers::{REQUEST_ID, request_id};
use domain::usage::outcome::Outcome;
use edge::clock::now;
use edge::log::{Source, log};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::Env;

#[expect(clippy::cast_possible_truncation, reason = "whole milliseconds, far below 2^53")]
fn at(now: f64) -> UnixMs {
    now as UnixMs
}

/// Begins call `id` and returns its first step, or a promise of it. `head` is UTF-8, written as [`Head::read`] reads it:
/// the platform encodes text faster than it crosses.
#[wasm_bindgen]
pub fn begin(
    id: u32,
    head: Vec<u8>,
    has_body: bool,
    now: f64,
    request: Request,
    env: Env,
    context: Context,
) -> JsValue {
    let begun = arrive(head, at(now)).and_then(|(head, arrival)| {
        if head.url().path().as_str() == HEALTH {
            return Ok(JsValue::from_str(&Step::Own(serve::health(&arrival.request_id)).text()));
        }
        let config = Config::get(&env).map_err(|cause| Unready {
            request_id: arrival.request_id.clone(),
            error: GatewayError::InternalServerError,
            cause: format!("configuration cannot be used: {cause}"),
        })?;
        let arrived = Arrived { id, request, env, context, has_body };
        Ok(Call::begin(arrived, config, head, arrival, serve::serve))
    });
    begun.unwrap_or_else(|Unready { request_id, error, cause }| {
        log(Source::Request(&request_id), "a call cannot be begun", &cause);
        let mut own = Failure::from(error).response(&request_id);
        own.headers.push(header(REQUEST_ID, &request_id));
        JsValue::from_str(&Step::Own(own).text())
    })
}

/// The path that tells that the gateway runs, whatever its configuration.
const HEALTH: &str = "/health";

/// The reason why a call cannot be begun.
struct Unready {
    request_id: String,
    error: GatewayError,
    /// For the log.
    cause: String,
}

/// Reads the head and names the call.
fn arrive(head: Vec<u8>, at: UnixMs) -> Result<(Head, Arrival), Unready> {
    let random = edge::crypto::pooled::<32>().map_err(|cause| Unready {
        request_id: String::new(),
        error: GatewayError::InternalServerError,
        cause: cause.to_string(),
    })?;
    let (for_request, for_call) = random.split_at(16);
    let half = |bytes: &[u8]| bytes.try_into().unwrap_or_default();
    let (for_request, for_call) = (half(for_request), half(for_call));
    let head = String::from_utf8(head).ok().and_then(Head::read).ok_or_else(|| Unready {
        request_id: request_id(None, for_request),
        error: GatewayError::BadAddress,
        cause: "its address is no URL".to_owned(),
    })?;
    let request_id = request_id(head.header(REQUEST_ID), for_request);
    let client_ip = head.header("cf-connecting-ip").and_then(|ip| ip.parse().ok());
    Ok((head, Arrival { call_id: random_id(for_call), request_id, at, client_ip }))
}

/// Goes on with call `id` after a response. `headers` are two lines each, as those of a head. Returns the next step, or
/// a promise of it.
#[wasm_bindgen]
pub fn responded(id: u32, status: u16, headers: &[u8], is_socket: bool, now: f64) -> JsValue {
    let headers = String::from_utf8_lossy(headers);
    let mut lines = headers.split('\n');
    let mut list = Vec::with_capacity(16);
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        list.push((name.to_owned(), value.to_owned()));
    }
    resume(id, Sent::Response { status, headers: list, is_socket }, now)
}

/// Goes on with call `id` after a request without a response; without a `cause` the time was over. Returns the next
/// step, or a promise of it.
#[wasm_bindgen]
pub fn failed(id: u32, cause: Option<String>, now: f64) -> JsValue {
    resume(id, cause.map_or(Sent::Timeout, Sent::Failed), now)
}

fn resume(id: u32, sent: Sent, now: f64) -> JsValue {
    if let Some(call) = call::find(id) {
        return Call::resume(&call, sent, at(now));
    }
    // The wasm has started over since.
    let own = Failure::from(GatewayError::InternalServerError).response("");
    JsValue::from_str(&Step::Own(own).text())
}

/// Returns the body to be sent for call `id`, if it is not the client's own.
#[wasm_bindgen]
pub fn body(id: u32) -> Option<JsValue> {
    call::find(id)?.body.take()
}

/// Reads a piece of the response of call `id`, or a message of its socket.
#[wasm_bindgen]
pub fn feed(id: u32, piece: &[u8]) {
    if let Some(call) = call::find(id)
        && let Some(open) = call.open.borrow_mut().as_mut()
    {
        open.read(piece);
    }
}

/// Whether the token of socket `id` may still make this call. A call that has ended may not.
#[wasm_bindgen]
pub async fn allowed(id: u32) -> bool {
    let Some(call) = call::find(id) else { return false };
    let secret = call.secret.borrow().clone();
    call.now.set(now());
    match secret {
        Some(secret) => permit::is_permitted(&secret, &call).await,
        None => true,
    }
}

/// Renews what call `id` holds, since its response goes on.
#[wasm_bindgen]
pub fn renew(id: u32) {
    if let Some(call) = call::find(id)
        && let Some(reservation) = call.open.borrow().as_ref().and_then(|open| open.reservation.as_ref())
    {
        reservation.renew(&call.store().keep());
    }
}

/// Ends call `id`: its client has gone. An end that has been told before counts alone.
#[wasm_bindgen]
pub fn gone(id: u32, now: f64) {
    if let Some(call) = call::find(id) {
        call.gone(at(now));
    }
}

/// Ends call `id` with the end of its response or its socket. Bytes are absent if they were not counted.
#[wasm_bindgen]
pub fn ended(id: u32, how: &str, bytes_out: Option<f64>, bytes_in: Option<f64>, now: f64) {
    let Some(call) = call::find(id) else { return };
    let count = |bytes: Option<f64>| bytes.map(|bytes| u64::try_from(at(bytes)).unwrap_or(0));
    let outcome = match how {
        "whole" => None,
        "cut" => Some(Outcome::InjectedFault),
        "left" => Some(Outcome::ClientGone),
        _ => Some(Outcome::UpstreamError),
    };
    call.now.set(at(now));
    call.close(End::Ended { outcome, bytes_in: count(bytes_in), bytes_out: count(bytes_out) });
}
