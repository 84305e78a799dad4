//! Reads the gateway's counters, one Durable Object for each limited token. The admin API never writes them.

use crate::error::Failure;
use crate::request::Call;
use contract::limits::TokenLimits;
use domain::id::TokenId;
use domain::limit::Limits;
use domain::limit::ledger::{Command, LimitUse};
use edge::limiter::ask;
use edge::log::{Source, log};

/// Returns how much of a token's limits is used. Counters are only asked for limits that are counted.
pub async fn standing(call: &Call, token: &TokenId, limits: Limits) -> Result<TokenLimits, Failure> {
    if !limits.counts_calls() && !limits.has_budget() {
        return Ok(TokenLimits { limits, uses: Some(vec![]) });
    }
    let command = Command::Uses { limits: limits.clone() };
    let asked: Result<Vec<LimitUse>, String> = ask(&call.env, token, &command).await;
    let uses = asked
        .map_err(|cause| log(Source::Request(&call.request_id), "limits' counter cannot be asked", &cause))
        .ok();
    Ok(TokenLimits { limits, uses })
}
