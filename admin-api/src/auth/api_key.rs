//! Identifies a token's holder by the token itself.

use super::rate;
use crate::db::tokens::{self, Holder};
use crate::error::Failure;
use crate::request::Call;
use contract::error::ApiError;
use domain::access::carrier::{NotPresented, presented};
use domain::access::record::TokenState;
use domain::time::{MINUTE_MS, UnixMs};
use domain::token::Form;
use std::cell::Cell;

/// Finds the token that came with the call, in any header that the gateway accepts.
///
/// A current token that fails its check is refused without a query. One of the earlier form has no check,
/// so it is looked up, but only if any such token exists, and only within its address's rate limit.
pub async fn holder(call: &Call) -> Result<Holder, Failure> {
    let found = presented(|name| call.header(name), &call.config.check_keys);
    let (_, secret) = found.map_err(|why| match why {
        NotPresented::Missing => ApiError::MissingApiKey,
        NotPresented::Invalid => ApiError::InvalidApiKey,
    })?;
    let hash = secret.hash();
    if secret.form() == Form::Legacy {
        if !legacy_exist(call).await? {
            return Err(ApiError::InvalidApiKey.into());
        }
        // A guess looks like any real token, and each would cost a query.
        let address = call.client_ip().unwrap_or_default();
        rate::check(call, rate::TOKENS, &format!("address {address}")).await?;
    }
    rate::check(call, rate::TOKENS, hash.as_str()).await?;
    let holder = tokens::find_by_secret(&call.db()?, &hash).await?.ok_or(ApiError::InvalidApiKey)?;
    if holder.state() != TokenState::Active {
        return Err(ApiError::InvalidApiKey.into());
    }
    let client_ip = call.client_ip().and_then(|text| text.parse().ok());
    if !holder.allows(client_ip) {
        return Err(ApiError::IpNotAllowed.into());
    }
    let is_over = |end: Option<i64>| end.is_some_and(|end| end <= call.now);
    if is_over(holder.expires_at) || is_over(holder.ends_at) {
        return Err(ApiError::TokenExpired.into());
    }
    Ok(holder)
}

/// Returns whether there are tokens of the earlier form. It queries at most once a minute, so that forged
/// tokens cost no more. For that long, a token that was just imported may be refused here (not by the gateway).
async fn legacy_exist(call: &Call) -> Result<bool, Failure> {
    thread_local!(static LAST: Cell<Option<(UnixMs, bool)>> = const { Cell::new(None) });
    if let Some((at, exist)) = LAST.get()
        && (exist || call.now < at + MINUTE_MS)
    {
        return Ok(exist);
    }
    let exist = tokens::has_legacy_secrets(&call.db()?).await?;
    LAST.set(Some((call.now, exist)));
    Ok(exist)
}
