//! Seals credentials again after `CREDENTIAL_KEY` has got a new first key, so that the older key
//! can be removed. In the meantime the gateway opens both, and no call is affected.

use crate::config::Config;
use crate::db::seals::{self, Credential, Lost, Resealed};
use crate::db::{Db, StoreError};
use domain::credential::seal::SealedCredential;
use domain::time::SECOND_MS;
use edge::clock::now;
use edge::crypto::{self, CryptoError};
use edge::log::{Source, log};

/// Credentials in one batch. Between two batches, other requests of the isolate can run.
const BATCH: u32 = 100;
/// The most batches in one run, and the time in which a run may begin them. Each credential takes about a millisecond
/// of the thirty seconds that a run has.
const BATCHES: u32 = 60;
const RUN_MS: i64 = 10 * SECOND_MS;

/// Seals credentials under another key than the first again, until the run has done its share. The outbox publishes
/// them. Credentials that cannot be opened are marked, so that they are not tried again.
/// Returns whether there were any.
pub async fn run(db: &Db, config: &Config, who: Source<'_>) -> Result<bool, StoreError> {
    let until = now() + RUN_MS;
    let mut is_any = false;
    for _ in 0..BATCHES {
        let done = reseal_some(db, config, who).await?;
        is_any |= done > 0;
        if done < BATCH as usize || now() >= until {
            break;
        }
    }
    Ok(is_any)
}

/// Handles one batch. Returns the number of credentials that were sealed again or marked.
async fn reseal_some(db: &Db, config: &Config, who: Source<'_>) -> Result<usize, StoreError> {
    let key = config.credential_keys.first().fingerprint();
    let (mut resealed, mut lost) = (Vec::new(), Vec::new());
    for credential in seals::under_others(db, &key, BATCH).await? {
        match reseal(&credential, config).await {
            Ok(sealed) => resealed.push(Resealed {
                route_id: credential.route_id,
                was: credential.sealed,
                sealed: sealed.to_string(),
            }),
            Err(error) => {
                log(who, "credential cannot be sealed again", &format!("{}: {error}", credential.route_id));
                // Mark it as lost only if the keys were actually tried.
                if matches!(error, CryptoError::Open) {
                    lost.push(Lost { route_id: credential.route_id, was: credential.sealed });
                }
            }
        }
    }
    let done = resealed.len() + lost.len();
    if !resealed.is_empty() {
        seals::put(db, &key, &resealed, now()).await?;
    }
    if !lost.is_empty() {
        seals::note_lost(db, &key, &lost).await?;
    }
    Ok(done)
}

async fn reseal(credential: &Credential, config: &Config) -> Result<SealedCredential, CryptoError> {
    let Credential { route_id, origin, sealed } = credential;
    let sealed: SealedCredential = sealed.parse().map_err(|_| CryptoError::Open)?;
    crypto::reseal(&sealed, route_id, origin, &config.credential_keys).await
}
