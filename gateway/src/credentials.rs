//! The credential of a route, ready to be attached. It is opened once per isolate and table.
//!
//! Whatever goes wrong here, the call is refused; it is never sent without its credential.

use crate::config::MAX_AGE_MS;
use crate::store::{Routes, Store, now, read};
use domain::access::Permit;
use domain::credential::CredentialEdit;
use domain::error::GatewayError;
use domain::kv::v1;
use domain::route::{Route, RouteCredential, RoutePath};
use domain::secret::Secret;
use domain::time::UnixMs;
use domain::upstream::origin_of;
use domain::vars::Vars;
use edge::env::EnvVars;
use edge::log::log;
use std::collections::HashMap;
use std::rc::Rc;

/// Opened credentials by route path, which is unique in a table where an id need not be: a second
/// entry with the id of the first, pointed elsewhere, must open its seal itself. It lives and dies
/// with its route table.
#[derive(Debug, Default)]
pub struct Opened(HashMap<RoutePath, (Rc<CredentialEdit>, UnixMs)>);

impl Opened {
    /// A sealed credential is as good as its table; a v1 secret lies elsewhere in KV and may
    /// change without the table, so it is read again after the cache's age.
    fn get(&self, route: &Route, now: UnixMs) -> Option<Rc<CredentialEdit>> {
        let (edit, opened_at) = self.0.get(&route.path)?;
        let lasts = matches!(route.credential, RouteCredential::Sealed(_)) || now - opened_at < MAX_AGE_MS;
        lasts.then(|| Rc::clone(edit))
    }
}

/// What is to be attached to the permitted call; `None` where the route has no credential.
pub async fn for_call(
    permit: &Permit,
    routes: &Routes,
    store: &Store<'_>,
) -> Result<Option<Rc<CredentialEdit>>, GatewayError> {
    let route = permit.route();
    if route.credential == RouteCredential::None {
        return Ok(None);
    }
    if let Some(edit) = routes.opened.borrow().get(route, now()) {
        return Ok(Some(edit));
    }
    match open(route, store).await {
        Ok(edit) => {
            let edit = Rc::new(edit);
            routes.opened.borrow_mut().0.insert(route.path.clone(), (Rc::clone(&edit), now()));
            Ok(Some(edit))
        }
        Err(cause) => {
            log(store.request_id, "credential cannot be used", &format!("route {}: {cause}", route.id));
            Err(GatewayError::CredentialUnavailable)
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
    Store(#[from] crate::store::StoreError),
}

async fn open(route: &Route, store: &Store<'_>) -> Result<CredentialEdit, OpenError> {
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
    Ok(credential.edit())
}

/// As the earlier system did: a Worker secret of that name comes first, then KV.
async fn v1_secret(name: &v1::SecretName, store: &Store<'_>) -> Result<Secret, OpenError> {
    if let Some(value) = EnvVars(store.env).get(name.as_str()) {
        return Ok(Secret::new(value));
    }
    let text = read(store.env, &name.kv_key()).await?;
    text.as_deref().and_then(v1::secret_value).ok_or_else(|| OpenError::Missing(name.as_str().to_owned()))
}
