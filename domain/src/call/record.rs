//! The usage event of a call, made from the facts that its way through the gateway brought.

use super::again::Retries;
use super::head::Head;
use crate::access::record::TokenRecord;
use crate::ai::{Tried, Upstream};
use crate::limit::ledger::LimitUse;
use crate::route::Route;
use crate::time::UnixMs;
use crate::trace::{Place, TRACEPARENT};
use crate::upstream::headers::WORKFLOW;
use crate::usage::errors::VendorError;
use crate::usage::label;
use crate::usage::outcome::Outcome;
use crate::usage::{AiUsage, Clipped, MAX_BYTES, MAX_LIMIT_LEN, Refused, UsageEvent};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// The arrival of a call: what is known of it from the start, besides its head.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// Unique. Names the call in its usage event and in the token's counter.
    pub call_id: String,
    /// The id that the client is told.
    pub request_id: String,
    /// When the call arrived, unix ms.
    pub at: UnixMs,
    /// The address that the edge saw.
    pub client_ip: Option<IpAddr>,
}

/// Facts about a call, filled in as it passes each step.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The token, once it is known.
    pub token: Option<Arc<TokenRecord>>,
    /// The first digits of the hash of its secret.
    pub secret: Option<String>,
    /// The nonce of the derived token, if one made the call.
    pub derived: Option<String>,
    /// The route that the path leads to.
    pub route: Option<Arc<Route>>,
    /// Whether the change feed had not confirmed the token and the route, so that they were as old as KV's.
    pub is_unconfirmed: bool,
    /// Time to the decision, in ms.
    pub auth_ms: i64,
    /// Time from sending to the first byte, waits before further tries included, in ms.
    pub upstream_ms: i64,
    /// Time that the client took to upload a body that was taken in, in ms: neither the gateway's nor the upstream's.
    pub upload_ms: i64,
    /// Uses of the token's limits, if they were counted.
    pub uses: Vec<LimitUse>,
    /// The fate of the call at each upstream.
    pub tried: Tried,
    /// The further tries that the call has had.
    pub retries: Retries,
    /// The credential of a pool that served the call, by its name.
    pub credential: Option<Rc<str>>,
    /// The credentials of pools that were refused, with the statuses.
    pub refused: Vec<(Rc<str>, u16)>,
    /// The upstream's own id of the call.
    pub upstream_request_id: Option<String>,
}

/// Status recorded if the client hung up before a response began: nginx's "Client Closed Request".
pub const CLIENT_GONE: u16 = 499;

/// The end of a call, as it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Status of the response that the client got.
    pub status: u16,
    /// Length of the response's body, if it is known.
    pub bytes_out: Option<u64>,
    /// Length of the request's body, if it is known better than its announcement.
    pub bytes_in: Option<u64>,
    /// Duration of the whole call, if its end was seen.
    pub duration_ms: Option<i64>,
    /// Tokens and cost, if the call was metered.
    pub ai: Option<AiUsage>,
    /// The vendor's words about an error, if they are kept.
    pub error: Option<VendorError>,
}

/// Whether a response has a body, whatever length it announces.
fn has_body(method: &str, status: u16) -> bool {
    method != "HEAD" && !matches!(status, 101 | 204 | 205 | 304)
}

/// Returns the length of a response's body, in bytes, from the `announced` one.
pub fn announced_length(method: &str, status: u16, announced: Option<&str>) -> Option<u64> {
    if has_body(method, status) { announced.and_then(|length| length.trim().parse().ok()) } else { Some(0) }
}

/// Returns the name of the limit that refused the call, if one did.
fn refusing_limit(facts: &Facts, outcome: Outcome) -> Option<Clipped<MAX_LIMIT_LEN>> {
    if !matches!(outcome, Outcome::LimitedRate | Outcome::LimitedQuota) {
        return None;
    }
    let refusing = facts.uses.iter().find(|one| one.refuses(true))?;
    Some(refusing.kind.as_str().into())
}

/// Makes the usage event of a call. `None` if its token is unknown.
pub fn event(
    head: &Head,
    arrival: &Arrival,
    facts: &Facts,
    outcome: Outcome,
    ending: Ending,
) -> Option<UsageEvent> {
    let token = facts.token.as_ref()?;
    let in_range = |length: Option<u64>| length.filter(|length| *length <= MAX_BYTES);
    let millis = |ms: i64| u32::try_from(ms).unwrap_or(0);
    let route = facts.route.as_ref().map(|route| &route.rule);
    let refused =
        facts.refused.iter().map(|(name, status)| Refused { credential: (&**name).into(), status: *status });
    Some(UsageEvent {
        id: arrival.call_id.clone(),
        at: arrival.at,
        token_id: token.id.clone(),
        team: token.team.clone(),
        secret: facts.secret.as_deref().map(Into::into),
        derived: facts.derived.as_deref().map(Into::into),
        route_id: route.map(|rule| rule.id.clone()),
        route_path: route.map(|rule| rule.path.as_str().into()),
        path: head.url().path().as_str().into(),
        method: head.method().into(),
        status: ending.status,
        outcome,
        latency_ms: millis(facts.auth_ms + facts.upstream_ms),
        gateway_ms: millis(facts.auth_ms - facts.upload_ms),
        duration_ms: ending.duration_ms.and_then(|ms| u32::try_from(ms).ok()),
        bytes_in: in_range(ending.bytes_in.or_else(|| head.content_length())),
        bytes_out: in_range(ending.bytes_out),
        label: head.header(WORKFLOW).and_then(label::read),
        second: facts.tried.answered == Some(Upstream::Second),
        retries: facts.retries.count,
        credential: facts.credential.as_deref().map(Into::into),
        refused: refused.collect(),
        limit: refusing_limit(facts, outcome),
        upstream_request_id: facts
            .upstream_request_id
            .as_deref()
            .filter(|_| ending.status >= 400)
            .map(Into::into),
        error: ending.error,
        client_ip: arrival.client_ip.map(|ip| ip.to_string().into()),
        user_agent: head.header("user-agent").map(Into::into),
        country: head.header("cf-ipcountry").map(Into::into),
        trace: head.header(TRACEPARENT).filter(|given| Place::parse(given).is_some()).map(Into::into),
        request_id: arrival.request_id.as_str().into(),
        ai: ending.ai,
    })
}
