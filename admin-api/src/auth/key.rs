//! Identifies the person for whom an admin API key acts, with the permissions that the key leaves them.

use super::rate;
use crate::db::keys;
use crate::error::Failure;
use crate::request::Call;
use contract::error::ApiError;
use domain::id::KeyId;
use domain::people::key::{KeyRefusal, KeySecret};
use domain::people::role::Caller;
use edge::log::{Source, log};

/// Finds the caller of a key. A forged key fails its check and costs no query; a known one costs one query, which reads
/// its maker's roles too. So a maker who was demoted or removed has taken the key with them at its next call.
pub async fn caller(call: &Call, text: &str) -> Result<Caller, Failure> {
    let secret = KeySecret::parse(text, &call.config.check_keys).ok_or(ApiError::Unauthenticated)?;
    let hash = secret.hash();
    rate::check(call, rate::PEOPLE, hash.as_str()).await?;
    let found = keys::find_by_secret(&call.db()?, &hash).await?.ok_or(ApiError::Unauthenticated)?;
    let (id, is_use_due) = (found.stored.key.id.clone(), found.is_use_due(call.now));
    let client_ip = call.client_ip().and_then(|text| text.parse().ok());
    let caller = found.stored.admit(&found.maker, client_ip, call.now).map_err(|refusal| match refusal {
        KeyRefusal::Revoked => ApiError::Unauthenticated,
        KeyRefusal::Expired => ApiError::KeyExpired,
        KeyRefusal::Address => ApiError::IpNotAllowed,
    })?;
    if is_use_due {
        note_use(call, &id);
    }
    Ok(caller)
}

/// Writes that the key was used, after the response. A failure does not change it.
fn note_use(call: &Call, id: &KeyId) {
    let statement = call.db().and_then(|db| keys::note_use(&db, id, call.now).map(|s| (db, s)));
    let request_id = call.request_id.clone();
    call.context.wait_until(async move {
        let written = match statement {
            Ok((db, statement)) => db.batch(vec![statement]).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            log(Source::Request(&request_id), "use of a key not noted", &error.to_string());
        }
    });
}

/// Refuses a read-only key where an action that only reads covers a change. All other changes are refused, and recorded,
/// where they are authorised.
pub fn refuse_read_only(caller: &Caller) -> Result<(), Failure> {
    let is_read_only = caller.key.as_ref().is_some_and(|key| key.read_only);
    if is_read_only { Err(ApiError::Forbidden.into()) } else { Ok(()) }
}
