//! Opens the credential of a route, once per isolate and table.
//!
//! If anything goes wrong here the call is refused. It is never sent without its credential.

use crate::config::MAX_AGE_MS;
use crate::routes::{Ready, Routes};
use crate::store::{Store, StoreError, read};
use domain::access::Permit;
use domain::error::GatewayError;
use domain::route::Route;
use domain::secret::Secret;
use domain::time::UnixMs;
use domain::upstream::target::RouteCredential;
use domain::v1::auth as v1;
use domain::vars::Vars;
use edge::env::EnvVars;
use edge::kv::Entry;
use edge::log::{Source, log};
use std::rc::Rc;

/// Returns the credential to attach to the permitted call. `None` if the route has none.
pub async fn for_call(
    permit: &Permit,
    routes: &Routes,
    store: &Store<'_>,
) -> Result<Option<Rc<Ready>>, GatewayError> {
    let route = permit.origin();
    if route.target.credential == RouteCredential::None {
        return Ok(None);
    }
    if let Some(ready) = routes.opened.borrow().get(route, MAX_AGE_MS, store.now) {
        return Ok(Some(ready));
    }
    match open(route, store).await {
        Ok(ready) => {
            let ready = Rc::new(ready);
            routes.opened.borrow_mut().keep(route, &ready);
            Ok(Some(ready))
        }
        Err(cause) => {
            log(
                Source::Request(store.request_id),
                "credential cannot be used",
                &format!("route {}: {cause}", route.rule.id),
            );
            let stale = routes.opened.borrow().get(route, store.config.stale_max_ms, store.now);
            match (cause, stale) {
                // The known value may serve for a while when KV is unreachable, as with tokens.
                (OpenError::Store(StoreError::Unreachable(_)), Some(ready)) => Ok(Some(ready)),
                _ => Err(GatewayError::CredentialUnavailable),
            }
        }
    }
}

/// Whether the route has a pool of credentials, as far as they have been opened: a call may then be sent again.
pub fn is_pool(permit: &Permit, routes: &Routes, now: UnixMs) -> bool {
    let ready = routes.opened.borrow().get(permit.origin(), i64::MAX, now);
    ready.is_some_and(|ready| ready.pool.is_some())
}

/// The reason why a credential cannot be opened, for the log.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("the table's entry cannot be read")]
    Unreadable,
    #[error(transparent)]
    Seal(#[from] edge::crypto::CryptoError),
    #[error("the secret {0} does not exist")]
    Missing(String),
    #[error("the secret cannot be sent in a header")]
    Unfit,
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn open(route: &Route, store: &Store<'_>) -> Result<Ready, OpenError> {
    let credential = match &route.target.credential {
        RouteCredential::Sealed(sealed) => {
            let origin = route.target.upstream.origin();
            edge::crypto::open(sealed, &route.rule.id, &origin, &store.config.credential_keys).await?
        }
        RouteCredential::V1(auth) => {
            let mut secrets = Vec::new();
            for name in auth.references() {
                secrets.push(v1_secret(name, store).await?);
            }
            auth.resolve(secrets).ok_or(OpenError::Unfit)?
        }
        RouteCredential::None | RouteCredential::Unreadable => return Err(OpenError::Unreadable),
    };
    Ok(Ready::new(&credential))
}

/// Secrets of the earlier system, which the gateway only reads.
enum V1Secret {}

impl Entry for V1Secret {
    const PREFIX: &'static str = v1::SECRET_PREFIX;
    type Key = v1::SecretName;
    type Value = Secret;

    fn name(key: &v1::SecretName) -> &str {
        key.as_str()
    }
}

/// Looks a secret up as the earlier system did: a Worker secret of that name first, then KV.
async fn v1_secret(name: &v1::SecretName, store: &Store<'_>) -> Result<Secret, OpenError> {
    if let Some(value) = EnvVars(store.env).get(name.as_str()) {
        return Ok(Secret::new(value));
    }
    let text = read::<V1Secret>(store.env, name).await?;
    text.as_deref().and_then(v1::secret_value).ok_or_else(|| OpenError::Missing(name.as_str().to_owned()))
}
