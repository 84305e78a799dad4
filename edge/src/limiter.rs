//! The counters of tokens and teams, which are Durable Objects of the gateway. Both Workers ask them.

use crate::timeout::within;
use domain::limit::ledger::Command;
use domain::stored::from_text;
use serde::de::DeserializeOwned;
use web_sys::{Request, RequestInit};
use worker::Env;

/// The binding of the Durable Objects.
const LIMITER: &str = "LIMITER";
/// An object that takes longer counts as unreachable, in ms.
const TIMEOUT_MS: u64 = 2_000;

/// Returns the name of a team's object. A token's has the token's id.
pub fn team_object(team: impl std::fmt::Display) -> String {
    format!("team:{team}")
}

/// Asks an object and returns its response, of the type that [`Command`] names.
///
/// # Errors
/// The cause, for the log, if the object cannot be reached in time or refuses.
pub async fn ask<T: DeserializeOwned>(env: &Env, object: &str, command: &Command) -> Result<T, String> {
    within(TIMEOUT_MS, exchange(env, object, command)).await?
}

async fn exchange<T: DeserializeOwned>(env: &Env, object: &str, command: &Command) -> Result<T, String> {
    let text = serde_json::to_string(command).map_err(|e| e.to_string())?;
    let objects = env.durable_object(LIMITER).map_err(|e| e.to_string())?;
    let object = objects.id_from_name(object).and_then(|id| id.get_stub()).map_err(|e| e.to_string())?;
    // Not by `worker`, whose requests carry the code of all that Cloudflare adds to one.
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(&text.into());
    let request = Request::new_with_str_and_init("https://limiter/", &init).map_err(|e| format!("{e:?}"))?;
    let mut response = object.fetch_with_request(request.into()).await.map_err(|e| e.to_string())?;
    let text = response.text().await.map_err(|e| e.to_string())?;
    match response.status_code() {
        200 => from_text(&text).map_err(|e| e.to_string()),
        status => Err(format!("the object responded {status}")),
    }
}
