//! After `CREDENTIAL_KEY` has got a new first key: credentials under an older one are sealed anew, so
//! that the older can be taken away. The gateway opens both meanwhile, and no call notices.

use crate::config::Config;
use crate::db::seals::{self, Credential, Resealed};
use crate::db::{Db, StoreError};
use crate::publish::now;
use domain::credential::SealedCredential;
use edge::crypto::{CryptoError, open, seal};
use edge::log::log;

/// Credentials in one run; each takes about a millisecond.
const MAX_CREDENTIALS: u32 = 200;

/// Seals anew what is under another key than the first. The publication is left to the outbox.
pub async fn run(db: &Db, config: &Config, request_id: &str) -> Result<(), StoreError> {
    let key = config.credential_keys.first().fingerprint();
    let (mut resealed, mut lost) = (Vec::new(), Vec::new());
    for credential in seals::under_others(db, &key, MAX_CREDENTIALS).await? {
        match reseal(&credential, config).await {
            Ok(sealed) => resealed.push(Resealed {
                route_id: credential.route_id,
                was: credential.sealed,
                sealed: sealed.to_string(),
            }),
            Err(error) => {
                log(
                    request_id,
                    "credential cannot be sealed anew",
                    &format!("{}: {error}", credential.route_id),
                );
                lost.push(credential.route_id);
            }
        }
    }
    if !resealed.is_empty() {
        seals::put(db, &key, &resealed, now()).await?;
    }
    if !lost.is_empty() {
        seals::note_lost(db, &key, &lost).await?;
    }
    Ok(())
}

async fn reseal(credential: &Credential, config: &Config) -> Result<SealedCredential, CryptoError> {
    let Credential { route_id, origin, sealed } = credential;
    let sealed: SealedCredential = sealed.parse().map_err(|_| CryptoError::Open)?;
    let opened = open(&sealed, route_id, origin, &config.credential_keys).await?;
    seal(&opened, route_id, origin, &config.credential_keys).await
}
