//! Structured logs: one JSON line for each cause, so that they can be searched by request id.

use std::fmt::Display;

/// Logs a cause once. It is never sent to a client.
pub fn log<C: Display + ?Sized>(request_id: &str, what: &str, cause: &C) {
    let line = serde_json::json!({
        "level": "error", "request_id": request_id, "what": what, "cause": cause.to_string(),
    });
    worker::console_error!("{line}");
}
