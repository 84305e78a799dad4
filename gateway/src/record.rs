//! The usage event and the log line of a call.

use crate::arrival::Arrival;
use domain::access::record::TokenRecord;
use domain::ai::Tried;
use domain::limit::ledger::LimitUse;
use domain::route::Route;
use domain::usage::outcome::Outcome;
use domain::usage::{MAX_BYTES, UsageEvent};
use edge::clock::now;
use edge::log::{Call, Level};
use std::sync::Arc;
use web_sys::Response;

/// Facts about the call, filled in as it passes each step.
#[derive(Debug, Default)]
pub struct Account {
    pub token: Option<Arc<TokenRecord>>,
    /// The first digits of the hash of its secret.
    pub secret: Option<String>,
    pub route: Option<Arc<Route>>,
    /// Whether the client hung up before the upstream's first byte.
    pub abandoned: bool,
    /// Time to the decision, and from sending to the first byte.
    pub auth_ms: i64,
    pub upstream_ms: i64,
    /// Uses of the token's limits, if its counter was asked.
    pub uses: Vec<LimitUse>,
    pub tried: Tried,
}

/// Status recorded if the client hung up before the response: nginx's "Client Closed Request".
const CLIENT_GONE: u16 = 499;

/// Whether a response has a body, whatever length it announces.
fn has_body(method: &str, status: u16) -> bool {
    method != "HEAD" && !matches!(status, 101 | 204 | 205 | 304)
}

/// Makes the log line of a call, when its response starts.
pub fn line<'a>(arrival: &'a Arrival, account: &'a Account, status: u16, outcome: Outcome) -> Call<'a> {
    let token = account.token.as_deref();
    Call {
        level: Level::of_success(outcome == Outcome::Ok),
        event: "call",
        request_id: &arrival.request_id,
        call_id: Some(&arrival.call_id),
        method: &arrival.method,
        path: arrival.path.as_str(),
        status,
        outcome: Some(outcome.as_str()),
        token_id: token.map(|token| token.id.as_str()),
        team: token.map(|token| token.team.as_str()),
        route_id: account.route.as_ref().map(|route| route.rule.id.as_str()),
        auth_ms: Some(account.auth_ms),
        upstream_ms: Some(account.upstream_ms),
        ms: None,
    }
}

/// Makes the usage event of a call. `None` if its token is unknown.
pub fn event(
    arrival: &Arrival,
    account: &Account,
    response: &Response,
    outcome: Outcome,
) -> Option<UsageEvent> {
    let token = account.token.as_ref()?;
    let status = if outcome == Outcome::ClientGone { CLIENT_GONE } else { response.status() };
    let in_range = |length: u64| (length <= MAX_BYTES).then_some(length);
    let announced = || response.headers().get("content-length").ok().flatten()?.parse().ok();
    // A client that hung up received nothing of the announced body.
    let is_read = outcome != Outcome::ClientGone && has_body(&arrival.method, status);
    let bytes_out = if is_read { announced().and_then(in_range) } else { Some(0) };
    let millis = |ms: i64| u32::try_from(ms).unwrap_or(0);
    let latency_ms = if account.auth_ms == 0 && account.upstream_ms == 0 {
        now() - arrival.at
    } else {
        account.auth_ms + account.upstream_ms
    };
    Some(UsageEvent {
        id: arrival.call_id.clone(),
        at: arrival.at,
        token_id: token.id.clone(),
        team: token.team.clone(),
        secret: account.secret.as_deref().map(Into::into),
        route_id: account.route.as_ref().map(|route| route.rule.id.clone()),
        route_path: account.route.as_ref().map(|route| route.rule.path.as_str().into()),
        path: arrival.path.as_str().into(),
        method: arrival.method.as_str().into(),
        status,
        outcome,
        latency_ms: millis(latency_ms),
        gateway_ms: millis(latency_ms - account.upstream_ms),
        duration_ms: None,
        bytes_in: arrival.content_length().and_then(in_range),
        bytes_out,
        client_ip: arrival.client_ip.map(|ip| ip.to_string().into()),
        user_agent: arrival.header("user-agent").map(Into::into),
        country: arrival.header("cf-ipcountry").map(Into::into),
        request_id: arrival.request_id.as_str().into(),
        ai: None,
    })
}
