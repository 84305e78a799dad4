//! How often one person, token or address may call, by Cloudflare's rate limiting binding.
//!
//! Counted at each location by itself, which is enough: it bounds what one caller can cost, not what they may do.
//! A deployment without the binding has no such bound.

use crate::error::Failure;
use crate::request::Call;
use contract::error::ApiError;
use edge::log::{Source, log};

/// The binding for people, by their id.
pub const PEOPLE: &str = "PEOPLE_RATE";
/// The binding for tokens, by their hash, and for callers whose token has to be looked up to be known.
pub const TOKENS: &str = "TOKEN_RATE";

/// 429 if `key` has called too often. A binding that fails lets the call pass.
pub async fn check(call: &Call, binding: &str, key: &str) -> Result<(), Failure> {
    let Ok(limiter) = call.env.rate_limiter(binding) else { return Ok(()) };
    match limiter.limit(key.to_owned()).await {
        Ok(outcome) if !outcome.success => Err(ApiError::TooManyRequests.into()),
        Ok(_) => Ok(()),
        Err(error) => {
            log(Source::Request(&call.request_id), "rate limit not checked", &error.to_string());
            Ok(())
        }
    }
}
