//! The plan of a permitted call: how it is metered, its second upstream, and what becomes of its body.

use super::head::Head;
use crate::access::Permit;
use crate::access::path::RequestPath;
use crate::ai::form::is_form;
use crate::ai::{self, MeteredAt, Metering};
use crate::credential::CredentialEdit;
use crate::credential::sigv4::is_s3;
use crate::error::GatewayError;
use crate::limit::Limits;
use crate::route::RouteTable;
use crate::upstream::build_url;
use crate::upstream::settings::AiSettings;

/// The treatment of a call, decided before anything is reserved or sent.
#[derive(Debug)]
pub struct Plan {
    /// How the call is metered, if one of its upstreams meters it.
    pub metered: Option<Metered>,
    /// Permission for this call at the route's second upstream; `None` if there is none, or if the call may not be sent twice.
    pub second: Option<Permit>,
    /// Whether the request is read for what it asks of an AI.
    pub reads_ask: bool,
    /// Whether the body is taken in whole if it is short enough: it is read, or may be sent twice.
    pub takes_in: bool,
}

/// A call that is metered at one of its upstreams.
#[derive(Clone, Debug)]
pub struct Metered {
    /// The upstreams that meter it.
    pub at: MeteredAt,
    /// Kind of the call at the first upstream that meters it.
    pub kind: Metering,
    /// The path there.
    pub path: String,
    /// The AI settings there.
    pub settings: AiSettings,
}

impl Plan {
    /// Plans a permitted call.
    pub fn new(permit: &Permit, head: &Head, table: &RouteTable) -> Self {
        let second = permit.failover(head.method(), table);
        let request =
            Request { method: head.method(), path: head.url().path(), is_socket: head.is_websocket() };
        let metered = metered(permit, second.as_ref(), &request);
        let token = permit.token();
        // A form names a model, but states nothing that bounds the call.
        let is_form = || is_form(head.header("content-type"));
        let reads_ask = metered.as_ref().is_some_and(|metered| {
            let asks = token.has_budget() || metered.settings.include_usage;
            !token.limits.models.is_empty() || asks && !is_form()
        });
        let is_repeated = second.is_some() || permit.route().behaviour.settings.retry_within_s > 0;
        Self { takes_in: reads_ask || is_repeated, metered, second, reads_ask }
    }
}

/// Everything of a request that tells how it is metered.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In upper case.
    pub method: &'a str,
    /// The path as it is decided on.
    pub path: &'a RequestPath,
    /// Whether it asks for a WebSocket.
    pub is_socket: bool,
}

/// Returns the call as its upstreams meter it; `None` if it costs nothing at any of them.
pub fn metered(permit: &Permit, second: Option<&Permit>, request: &Request) -> Option<Metered> {
    let on = |permit: &Permit| {
        let settings = permit.ai().cloned()?;
        // A path without a URL is refused later.
        let path = build_url(permit.mount(), request.path, None).ok()?.path().to_owned();
        let kind = ai::metering(settings.provider, request.method, &path, request.is_socket);
        kind.is_metered().then_some((kind, path, settings))
    };
    let first = on(permit);
    let second = second.and_then(on);
    let at = MeteredAt { first: first.is_some(), second: second.is_some() };
    let (kind, path, settings) = first.or(second)?;
    Some(Metered { at, kind, path, settings })
}

/// Whether a signature by `edit` must cover the whole body.
pub fn signs_body(edit: Option<&CredentialEdit>) -> bool {
    edit.and_then(CredentialEdit::signer).is_some_and(|keys| !is_s3(&keys.service))
}

/// Refuses a body that is longer than the token allows, or does not announce its length.
pub fn check_size(limits: &Limits, head: &Head, has_body: bool) -> Result<(), GatewayError> {
    let Some(most) = limits.body_bytes.filter(|_| has_body) else { return Ok(()) };
    match head.content_length() {
        Some(length) if length <= most => Ok(()),
        Some(_) => Err(GatewayError::PayloadTooLarge),
        None => Err(GatewayError::LengthRequired),
    }
}
