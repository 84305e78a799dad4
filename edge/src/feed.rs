//! The change feed, a Durable Object of the gateway. The admin API appends to it, the gateway polls it.

use crate::object::Objects;
use domain::feed::Command;
use serde::de::DeserializeOwned;
use worker::Env;

/// The binding of the feed.
pub const FEED: &str = "FEED";
/// The name of its one object.
const OBJECT: &str = "changes";
/// A poll that takes longer counts as failed. It holds up no call, which waits for a quarter of a second at most.
const FEEDS: Objects = Objects { binding: FEED, timeout_ms: 4_000 };

/// Asks the feed and returns its response, of the type that [`Command`] names.
///
/// # Errors
/// The cause, for the log, if the feed cannot be reached in time or refuses.
pub async fn ask<T: DeserializeOwned>(env: &Env, command: &Command) -> Result<T, String> {
    FEEDS.ask(env, OBJECT, command).await
}
