//! Structured logs: one JSON line for each call and each cause, so that they can be searched by request id.
//! No line holds a secret, a token, a query or a body.

use serde::Serialize;
use std::fmt::Display;

/// Logs a cause once. It is never sent to a client.
pub fn log<C: Display + ?Sized>(request_id: &str, what: &str, cause: &C) {
    let line = serde_json::json!({
        "level": "error", "request_id": request_id, "what": what, "cause": cause.to_string(),
    });
    worker::console_error!("{line}");
}

/// Logs what became of a call: `line` as one line of JSON.
pub fn log_call<L: Serialize>(line: &L) {
    if let Ok(line) = serde_json::to_string(line) {
        worker::console_log!("{line}");
    }
}
