//! Seals credentials, and receivers of channels, again after `CREDENTIAL_KEY` has got a new first key, so that the older key
//! can be removed. In the meantime the gateway opens both, and no call is affected.

use crate::config::Config;
use crate::db::seals::{self, Older, Resealed};
use crate::db::{Db, StoreError};
use domain::alert::channel;
use domain::credential::seal::{SealedCredential, associated_data};
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

/// Handles one batch. Returns the number of those that were sealed again or marked.
async fn reseal_some(db: &Db, config: &Config, who: Source<'_>) -> Result<usize, StoreError> {
    let key = config.credential_keys.first().fingerprint();
    let mut resealed = Vec::new();
    for Older { id, origin, sealed: was } in seals::under_others(db, &key, BATCH).await? {
        let bound_to = match &origin {
            Some(origin) => associated_data(&id.as_str().into(), origin),
            None => channel::associated_data(&id),
        };
        match reseal(&was, &bound_to, config).await {
            Ok(sealed) => resealed.push(Resealed { id, was, sealed: Some(sealed.to_string()) }),
            Err(error) => {
                log(who, "credential cannot be sealed again", &format!("{id}: {error}"));
                // Mark it as lost only if the keys were actually tried.
                if matches!(error, CryptoError::Open) {
                    resealed.push(Resealed { id, was, sealed: None });
                }
            }
        }
    }
    if !resealed.is_empty() {
        seals::put(db, &key, &resealed, now()).await?;
    }
    Ok(resealed.len())
}

async fn reseal(sealed: &str, bound_to: &[u8], config: &Config) -> Result<SealedCredential, CryptoError> {
    let sealed: SealedCredential = sealed.parse().map_err(|_| CryptoError::Open)?;
    crypto::reseal(&sealed, bound_to, &config.credential_keys).await
}
