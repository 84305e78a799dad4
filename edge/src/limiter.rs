//! The counters of tokens and teams, which are Durable Objects of the gateway. Both Workers ask them.

use crate::object::Objects;
use domain::limit::ledger::Command;
use serde::de::DeserializeOwned;
use worker::Env;

const LIMITERS: Objects = Objects { binding: "LIMITER", timeout_ms: 2_000 };

/// Returns the name of a team's object. A token's has the token's id.
pub fn team_object(team: impl std::fmt::Display) -> String {
    format!("team:{team}")
}

/// Asks an object and returns its response, of the type that [`Command`] names.
///
/// # Errors
/// The cause, for the log, if the object cannot be reached in time or refuses.
pub async fn ask<T: DeserializeOwned>(env: &Env, object: &str, command: &Command) -> Result<T, String> {
    LIMITERS.ask(env, object, command).await
}
