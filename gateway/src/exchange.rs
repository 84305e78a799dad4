//! `POST /token`: derives a token from one (OAuth 2.0 Token Exchange, RFC 8693). Nothing is stored.
//!
//! The response has the form of RFC 6749, section 5; only if the gateway itself cannot respond is it the gateway's own
//! error.

use crate::body::Body;
use crate::call::Call;
use crate::changes;
use crate::error::{Failure, header};
use crate::meter;
use crate::permit::{Handled, present};
use crate::step::Own;
use crate::store::Store;
use domain::access::derived::{Bearer, NONCE_LEN};
use domain::access::exchange::{Asked, Issued, MAX_BODY, Refused};
use domain::access::path::EXCHANGE_PATH;
use domain::call::head::Head;
use domain::error::GatewayError;
use domain::keys::KeyRing;
use domain::token::{Form, TokenHash, base62};
use domain::usage::SECRET_HEAD;
use edge::log::{Source, log};
use futures_util::future::join;
use std::sync::Arc;

/// Whether the call asks for a derived token.
pub fn is_asked_for(head: &Head) -> bool {
    head.url().path().as_str() == EXCHANGE_PATH && head.method() == "POST"
}

/// Derives a token, and records the call as one of its parent's.
///
/// # Errors
/// The failure of a store, or that there is no key.
pub async fn respond(call: &Call) -> Handled<Own> {
    let (status, body) = match derive(call).await? {
        Ok(issued) => (200, issued.json(call.arrival.at)),
        Err(refused) => (400, refused.json()),
    };
    let headers = vec![
        header("content-type", "application/json"),
        header("cache-control", "no-store"),
        // A page knows nothing but the secret that it sends: no cookie and no address counts here.
        header("access-control-allow-origin", "*"),
    ];
    Ok(Own { status, headers, body })
}

async fn derive(call: &Call) -> Handled<Result<Issued, Refused>> {
    // Without a key there is no such endpoint.
    let keys = call.config.derive_keys.as_ref().ok_or(GatewayError::RouteNotFound)?;
    let asked = match read(call).await? {
        Ok(asked) => asked,
        Err(refused) => return Ok(Err(refused)),
    };
    let parent = match subject(call, &asked) {
        Ok(parent) => parent,
        Err(refused) => return Ok(Err(refused)),
    };
    let news = changes::news();
    let mut issued = judge(call, &asked, &parent, keys).await?;
    if issued.is_err() {
        // As for any call: no refusal is based on a record that is older than a second.
        let store = call.store();
        let again =
            join(store.refresh_token(&parent, Form::Current, call.arrival.at), changes::settled(news));
        if again.await != (false, false) {
            issued = judge(call, &asked, &parent, keys).await?;
        }
    }
    if issued.is_err() {
        Store::note_token_refusal(&parent);
    }
    Ok(issued)
}

async fn read(call: &Call) -> Handled<Result<Asked, Refused>> {
    let mut body = Body::of(call);
    if call.head.content_length().is_none_or(|length| length > MAX_BODY) {
        return Ok(Err(Refused::body()));
    }
    let _held = body.take_in(call).await.map_err(Failure::from)?;
    // It stays a stream while other bodies take all the isolate's room for them.
    let bytes = body.bytes().ok_or_else(|| {
        log(Source::Request(&call.arrival.request_id), "no room for the body", "POST /token");
        GatewayError::StoreUnavailable
    })?;
    Ok(Asked::read(call.head.header("content-type"), &bytes))
}

/// Returns the hash of the token that the request names, or else a header. Costs no KV read.
fn subject(call: &Call, asked: &Asked) -> Result<TokenHash, Refused> {
    let config = &call.config;
    let bearer = match &asked.subject {
        Some(text) => Bearer::parse(text.expose(), &config.check_keys, config.derive_keys.as_ref())
            .ok_or_else(|| {
                meter::count_unknown_token();
                GatewayError::InvalidApiKey
            }),
        None => present(call).map(|(_, bearer)| bearer).map_err(|failure| failure.error),
    };
    match bearer.map_err(Refused::subject)? {
        Bearer::Derived { .. } => Err(Refused::is_derived()),
        Bearer::Token(token) if token.form() == Form::Legacy => Err(Refused::is_legacy()),
        Bearer::Token(token) => Ok(token.hash()),
    }
}

async fn judge(
    call: &Call,
    asked: &Asked,
    parent: &TokenHash,
    keys: &KeyRing,
) -> Handled<Result<Issued, Refused>> {
    let record =
        call.store().look_up(parent, Form::Current).await.0.map_err(|cause| GatewayError::from(&cause))?;
    let Some(record) = record else {
        meter::count_unknown_token();
        return Ok(Err(Refused::subject(GatewayError::InvalidApiKey)));
    };
    let random = edge::crypto::pooled::<8>().map_err(|_| GatewayError::InternalServerError)?;
    let client = (call.arrival.client_ip, call.arrival.at);
    let issued = asked.derive(parent, &record, client, base62(&random, NONCE_LEN), keys);
    let mut facts = call.facts.borrow_mut();
    facts.token = Some(Arc::clone(&record));
    facts.secret = parent.as_str().get(..SECRET_HEAD).map(str::to_owned);
    facts.derived = issued.as_ref().ok().map(|issued| issued.derived.nonce.clone());
    Ok(issued)
}
