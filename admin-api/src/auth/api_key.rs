//! A token's holder, by the token itself.

use crate::db::tokens::{self, Holder};
use crate::error::Failure;
use crate::request::Call;
use domain::error::ApiError;
use domain::kv::TokenState;
use domain::token::{Carrier, TokenSecret};

/// The token that came with the call, in any header that the gateway takes it from.
///
/// One of the earlier form has no check, so it is looked up as it is; D1 holds it or not. A current
/// one that fails its check is refused without a query.
pub async fn holder(call: &Call) -> Result<Holder, Failure> {
    let text = Carrier::ALL
        .iter()
        .find_map(|carrier| {
            let value = call.header(carrier.header())?;
            carrier.token_in(&value).map(str::to_owned)
        })
        .ok_or(ApiError::MissingApiKey)?;
    let secret = TokenSecret::parse(&text, &call.config.check_keys).map_err(|_| ApiError::InvalidApiKey)?;
    let holder = tokens::find_by_secret(&call.db()?, &secret.hash()).await?.ok_or(ApiError::InvalidApiKey)?;
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
