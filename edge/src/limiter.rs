//! A token's counter: the gateway's Durable Object, asked by both Workers.

use domain::id::TokenId;
use domain::limit::ledger::Command;
use domain::stored::from_text;
use futures_util::future::{Either, select};
use serde::de::DeserializeOwned;
use std::pin::pin;
use std::time::Duration;
use worker::{Delay, Env, Method, Request, RequestInit};

/// The Durable Objects' binding.
const LIMITER: &str = "LIMITER";
/// An object that takes longer counts as away, in ms.
const TIMEOUT_MS: u64 = 2_000;

/// The object's answer to `command`, of the type that [`Command`] names.
///
/// # Errors
/// The cause, for the log, where the object cannot be reached in time or refuses.
pub async fn ask<T: DeserializeOwned>(env: &Env, token: &TokenId, command: &Command) -> Result<T, String> {
    let answer = pin!(exchange(env, token, command));
    match select(answer, pin!(Delay::from(Duration::from_millis(TIMEOUT_MS)))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err("timed out".to_owned()),
    }
}

async fn exchange<T: DeserializeOwned>(env: &Env, token: &TokenId, command: &Command) -> Result<T, String> {
    let text = serde_json::to_string(command).map_err(|e| e.to_string())?;
    let objects = env.durable_object(LIMITER).map_err(|e| e.to_string())?;
    let object =
        objects.id_from_name(token.as_str()).and_then(|id| id.get_stub()).map_err(|e| e.to_string())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(text.into()));
    let request = Request::new_with_init("https://limiter/", &init).map_err(|e| e.to_string())?;
    let mut answer = object.fetch_with_request(request).await.map_err(|e| e.to_string())?;
    let text = answer.text().await.map_err(|e| e.to_string())?;
    match answer.status_code() {
        200 => from_text(&text).map_err(|e| e.to_string()),
        status => Err(format!("the object answers {status}")),
    }
}
