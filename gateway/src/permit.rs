//! The permit of a call: its token is looked up, and `domain` decides.

use crate::call::Call;
use crate::config::Config;
use crate::error::Failure;
use crate::routes::Routes;
use crate::store::Store;
use crate::{changes, credentials, meter};
use domain::access::carrier::{Carrier, NotPresented, presented_in_query, presented_or_derived};
use domain::access::derived::Bearer;
use domain::access::path::RequestPath;
use domain::access::rule::Rule;
use domain::access::{Call as Question, Denial, Permit, decide, decide_derived};
use domain::error::GatewayError;
use domain::time::UnixMs;
use domain::token::{Form, TokenHash};
use domain::upstream::target::RouteCredential;
use domain::usage::SECRET_HEAD;
use edge::log::{Source, log};
use futures_util::future::join3;
use std::rc::Rc;
use std::sync::Arc;

/// The result of a step, or the failure that ends the call.
pub type Handled<T> = Result<T, Box<Failure>>;

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

/// Finds the token that the call presents. Costs no KV read.
pub fn present(call: &Call) -> Handled<(Carrier, Bearer)> {
    let Config { check_keys, derive_keys, .. } = &*call.config;
    presented_or_derived(|name| call.head.header(name), check_keys, derive_keys.as_ref()).map_err(|why| {
        match why {
            NotPresented::Missing => GatewayError::MissingApiKey,
            NotPresented::Invalid => {
                meter::count_unknown_token();
                GatewayError::InvalidApiKey
            }
        }
        .into()
    })
}

/// Finds the token that the call presents, in a header or else in the query. The header that held it comes with it.
pub fn present_anywhere(call: &Call) -> Handled<(Option<Carrier>, Bearer)> {
    let missing = match present(call) {
        Ok((carrier, secret)) => return Ok((Some(carrier), secret)),
        Err(failure) if failure.error == GatewayError::MissingApiKey => failure,
        Err(failure) => return Err(failure),
    };
    let Config { check_keys, derive_keys, .. } = &*call.config;
    let query = call.head.url().query().unwrap_or_default();
    let secret = presented_in_query(query, check_keys, derive_keys.as_ref()).ok_or(missing)?;
    call.has_key_in_query.set(true);
    Ok((None, secret))
}

/// Looks the token up and decides. No call is refused because of a value older than a second: the value is
/// read again first, so that a change is in force once the API has responded.
pub async fn permit(secret: &Bearer, call: &Call) -> Handled<Permitted> {
    let hash = secret.hash();
    let (since, news) = (call.arrival.at, changes::news());
    match judge(secret, &hash, since, call).await? {
        Ok(permitted) => {
            // A credential that cannot be opened does not refuse the call yet: the route may be under
            // maintenance.
            if has_credential(&permitted, call).await {
                return Ok(permitted);
            }
            let was_read = call.store().refresh_routes(since).await;
            Store::note_routes_refusal();
            if !was_read {
                return Ok(permitted);
            }
        }
        Err(refusal) => {
            let again = join3(
                async { refusal.by_token && call.store().refresh_token(&hash, secret.form(), since).await },
                async { refusal.by_routes && call.store().refresh_routes(since).await },
                changes::settled(news),
            );
            if again.await == (false, false, false) {
                return Err(refused(refusal, &hash, call).into());
            }
        }
    }
    judge(secret, &hash, since, call).await?.map_err(|refusal| refused(refusal, &hash, call).into())
}

/// Whether a call that goes on would be permitted now. A store that cannot be read refuses nothing.
pub async fn is_permitted(secret: &Bearer, call: &Call) -> bool {
    let now = call.now.get();
    !matches!(judge(secret, &secret.hash(), now, call).await, Ok(Err(_)))
}

/// Notes a refusal where it must be known, and returns its failure.
fn refused(refusal: Refusal, hash: &TokenHash, call: &Call) -> Failure {
    if refusal.by_token {
        Store::note_token_refusal(hash);
    }
    if refusal.by_routes {
        Store::note_routes_refusal();
    }
    if call.facts.borrow().token.is_none() && refusal.failure.error == GatewayError::InvalidApiKey {
        meter::count_unknown_token();
    }
    *refusal.failure
}

/// Whether the route's credential can be opened. A v1 credential is a separate KV entry and not checked here.
async fn has_credential((permit, routes): &Permitted, call: &Call) -> bool {
    matches!(permit.origin().target.credential, RouteCredential::V1(_))
        || credentials::for_call(permit, routes, &call.store()).await.is_ok()
}

/// Whether the route of `path` accepts a token in the query.
fn takes_key(routes: Option<&Routes>, path: &RequestPath) -> bool {
    let route = routes.and_then(|routes| routes.table.find(path));
    route.is_some_and(|route| route.behaviour.settings.key_in_query)
}

/// Decides with the store's values. Token and routes are read in parallel if neither is cached, and beside a poll of
/// the change feed if none has confirmed them.
async fn judge(
    secret: &Bearer,
    hash: &TokenHash,
    now: UnixMs,
    call: &Call,
) -> Handled<Result<Permitted, Refusal>> {
    let store = call.store();
    if secret.form() == Form::Legacy {
        // A legacy token has no check, so any text of its shape could be one. Look only while some exist.
        let routes = store.routes().await.map_err(|e| GatewayError::from(&e))?;
        if !routes.is_some_and(|routes| routes.table.legacy_tokens) {
            return Ok(Err(Refusal::by_routes(GatewayError::InvalidApiKey)));
        }
    }
    let (token, routes) = store.look_up(hash, secret.form()).await;
    call.facts.borrow_mut().is_unconfirmed = !changes::is_confirmed(&call.store());
    let path = call.head.url().path();
    if call.has_key_in_query.get() {
        let routes = routes.as_ref().map_err(GatewayError::from)?;
        if !takes_key(routes.as_deref(), path) {
            return Ok(Err(Refusal::by_routes(GatewayError::MissingApiKey)));
        }
    }
    let token = token.map_err(|cause| {
        log(Source::Request(store.request_id), "token cannot be read", &cause);
        GatewayError::from(&cause)
    })?;
    let Some(token) = token else { return Ok(Err(Refusal::by_token(GatewayError::InvalidApiKey))) };
    let mut facts = call.facts.borrow_mut();
    facts.token = Some(Arc::clone(&token));
    facts.secret = hash.as_str().get(..SECRET_HEAD).map(str::to_owned);
    if let Some(derived) = secret.derived() {
        facts.derived = Some(derived.nonce.clone());
        if let Err(denial) = derived.check(call.arrival.client_ip, now) {
            // No store can say otherwise.
            return Ok(Err(Refusal { by_token: false, by_routes: false, ..Refusal::of(denial, None) }));
        }
    }
    let routes = routes.map_err(|e| GatewayError::from(&e))?;
    let Some(routes) = routes else { return Ok(Err(Refusal::by_routes(GatewayError::RoutesNotConfigured))) };
    let question = Question { method: call.head.method(), path, client_ip: call.arrival.client_ip, now };
    facts.route = routes.table.find(path).cloned();
    let decided = match secret.derived() {
        None => decide(&token, &routes.table, &question),
        Some(derived) => decide_derived(&token, derived, &routes.table, &question),
    };
    Ok(decided
        .map(|permit| (permit, routes))
        .map_err(|denial| Refusal::of(denial, facts.route.as_ref().map(|route| &route.rule))))
}
