//! The gateway's counters, one Durable Object for each limited token: asked how it stands, never told.

use crate::error::Failure;
use crate::request::Call;
use domain::api::limits::TokenLimits;
use domain::id::TokenId;
use domain::limit::Limits;
use domain::limit::ledger::{Command, LimitUse};
use edge::log::log;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use worker::{Delay, Env, Method, Request, RequestInit};

/// The binding to the gateway's class.
const LIMITER: &str = "LIMITER";
/// A counter that takes longer counts as away.
const TIMEOUT_MS: u64 = 2_000;

/// How far a token's limits are used up; what is not counted is not asked for.
pub async fn standing(call: &Call, token: &TokenId, limits: Limits) -> Result<TokenLimits, Failure> {
    if !limits.counts_calls() && !limits.has_budget() {
        return Ok(TokenLimits { limits, uses: Some(vec![]) });
    }
    let command = serde_json::to_string(&Command::Uses { limits: limits.clone() })
        .map_err(|e| Failure::Internal(e.to_string()))?;
    let asked = ask(&call.env, token, command);
    let uses = match select(pin!(asked), pin!(Delay::from(Duration::from_millis(TIMEOUT_MS)))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err("timed out".to_owned()),
    };
    let uses = uses.map_err(|cause| log(&call.request_id, "limits' counter cannot be asked", &cause)).ok();
    Ok(TokenLimits { limits, uses })
}

async fn ask(env: &Env, token: &TokenId, command: String) -> Result<Vec<LimitUse>, String> {
    let objects = env.durable_object(LIMITER).map_err(|e| e.to_string())?;
    let object =
        objects.id_from_name(token.as_str()).and_then(|id| id.get_stub()).map_err(|e| e.to_string())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(command.into()));
    let request = Request::new_with_init("https://limiter/", &init).map_err(|e| e.to_string())?;
    let mut answer = object.fetch_with_request(request).await.map_err(|e| e.to_string())?;
    let text = answer.text().await.map_err(|e| e.to_string())?;
    match answer.status_code() {
        200 => serde_json::from_str(&text).map_err(|e| e.to_string()),
        status => Err(format!("the object answers {status}")),
    }
}
