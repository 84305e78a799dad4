//! Limits how often one person, token or address may call, with Cloudflare's rate limiting binding.
//!
//! Each location counts separately, which is enough: the limit bounds what one caller can cost, not what they may
//! do. A deployment without the binding has no such limit.

use crate::error::Failure;
use crate::request::Call;
use contract::error::ApiError;
use edge::log::{Source, log};

/// The binding for people, by their id.
pub const PEOPLE: &str = "PEOPLE_RATE";
/// The binding for tokens, by their hash, and for addresses whose token must be looked up.
pub const TOKENS: &str = "TOKEN_RATE";

/// Fails with 429 if `key` has called too often. If the binding fails, the call passes.
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
