//! Calls to the admin API.

mod ahead;
mod error;
mod gateway;
mod pass;
mod request;

pub use error::{CallError, Reason};
pub use gateway::is_refused;
pub use pass::Pass;
pub use request::{Api, Request, TIMEOUT_S, get_json};

use yew::prelude::*;

/// Returns the admin API in the current session.
#[hook]
pub fn use_api() -> Api {
    use_context().unwrap_or_else(|| Api::new("", None, Callback::noop()))
}
