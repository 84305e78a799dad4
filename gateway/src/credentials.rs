//! The credential of a route, ready to be attached. It is opened once per isolate and table.
//!
//! Whatever goes wrong here, the call is refused; it is never sent without its credential.

use crate::config::MAX_AGE_MS;
use crate::store::{Routes, Store, StoreError, now, read};
use domain::access::Permit;
use domain::credential::CredentialEdit;
use domain::error::GatewayError;
use domain::route::{Route, RouteCredential};
use domain::secret::Secret;
use domain::time::UnixMs;
use domain::upstream::address::origin_of;
use domain::upstream::headers::search::Guarded;
use domain::v1::kv as v1;
use domain::vars::Vars;
use edge::env::EnvVars;
use edge::log::log;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// A credential that is open.
#[derive(Debug)]
pub struct Ready {
    pub edit: CredentialEdit,
    /// Its secrets, for which each response is searched.
    pub guarded: Guarded,
}

/// Opened credentials by their entry in the table: not by id, which a second entry, pointed elsewhere,
/// could carry too. They live and die with their table, so the entries' places in memory are theirs.
#[derive(Debug, Default)]
pub struct Opened(HashMap<*const Route, (Rc<Ready>, UnixMs)>);

impl Opened {
    /// A sealed credential is as good as its table; a v1 secret lies elsewhere in KV and may
    /// change without the table, so it is read again after the cache's age.
    fn get(&self, route: &Arc<Route>, max_age_ms: i64) -> Option<Rc<Ready>> {
        let (ready, opened_at) = self.0.get(&Arc::as_ptr(route))?;
        let lasts = matches!(route.credential, RouteCredential::Sealed(_)) || now() - opened_at < max_age_ms;
        lasts.then(|| Rc::clone(ready))
    }
}

/// What is to be attached to the permitted call; `None` where the route has no credential.
pub async fn for_call(
    permit: &Permit,
    routes: &Routes,
    store: &Store<'_>,
) -> Result<Option<Rc<Ready>>, GatewayError> {
    let route = permit.origin();
    if route.credential == RouteCredential::None {
        return Ok(None);
    }
    if let Some(ready) = routes.opened.borrow().get(route, MAX_AGE_MS) {
        return Ok(Some(ready));
    }
    match open(route, store).await {
        Ok(ready) => {
            let ready = Rc::new(ready);
            routes.opened.borrow_mut().0.insert(Arc::as_ptr(route), (Rc::clone(&ready), now()));
            Ok(Some(ready))
        }
        Err(cause) => {
            log(store.request_id, "credential cannot be used", &format!("route {}: {cause}", route.id));
            let stale = routes.opened.borrow().get(route, store.config.stale_max_ms);
            match (cause, stale) {
                // As with tokens: what was known may serve for a while when KV is away.
                (OpenError::Store(StoreError::Unreachable(_)), Some(ready)) => Ok(Some(ready)),
                _ => Err(GatewayError::CredentialUnavailable),
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("what stands in the table cannot be read")]
    Unreadable,
    #[error(transparent)]
    Seal(#[from] edge::crypto::CryptoError),
    #[error("the secret {0} is not there")]
    Missing(String),
    #[error("the secret is not fit to be sent")]
    Unfit,
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn open(route: &Route, store: &Store<'_>) -> Result<Ready, OpenError> {
    let credential = match &route.credential {
        RouteCredential::Sealed(sealed) => {
            let origin = origin_of(&route.upstream);
            edge::crypto::open(sealed, &route.id, &origin, &store.config.credential_keys).await?
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
    Ok(Ready { edit: credential.edit(), guarded: Guarded::new(credential.secrets()) })
}

/// As the earlier system did: a Worker secret of that name comes first, then KV.
async fn v1_secret(name: &v1::SecretName, store: &Store<'_>) -> Result<Secret, OpenError> {
    if let Some(value) = EnvVars(store.env).get(name.as_str()) {
        return Ok(Secret::new(value));
    }
    let text = read(store.env, &name.kv_key()).await?;
    text.as_deref().and_then(v1::secret_value).ok_or_else(|| OpenError::Missing(name.as_str().to_owned()))
}
