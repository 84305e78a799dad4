//! Structured logs: one line of JSON for each call and each cause, so that they can be searched by request
//! id. No line holds a secret, a token, a query or a body.

use serde::Serialize;
use std::fmt::Display;

/// The work during which a cause arose. It is logged as the line's `request_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A request, by its id.
    Request(&'a str),
    /// A queue's message, by its id.
    Message(&'a str),
    /// The queue's consumer, with a whole batch.
    Queue,
    /// The cron's run, each minute.
    Cron,
    /// An invocation that only publishes.
    Publish,
    /// The comparison of KV with D1.
    Reconcile,
    /// The canary's run, each minute.
    Canary,
    /// Work that belongs to no single request, or code that does not know its request.
    Isolate,
}

impl<'a> Source<'a> {
    /// Returns the name by which the log is searched.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Request(id) | Self::Message(id) => id,
            Self::Queue => "queue",
            Self::Cron => "cron",
            Self::Publish => "publish",
            Self::Reconcile => "reconcile",
            Self::Canary => "canary",
            Self::Isolate => "-",
        }
    }
}

/// Logs a cause once. It is never sent to a client.
pub fn log<C: Display + ?Sized>(who: Source<'_>, what: &str, cause: &C) {
    write(who.as_str(), what, &cause.to_string());
}

fn write(request_id: &str, what: &str, cause: &str) {
    worker::console_error!("{}", line("error", request_id, what, cause));
}

/// Logs what belongs into the log and is no failure.
pub fn note<C: Display + ?Sized>(who: Source<'_>, what: &str, cause: &C) {
    worker::console_log!("{}", line("info", who.as_str(), what, &cause.to_string()));
}

fn line(level: &str, request_id: &str, what: &str, cause: &str) -> serde_json::Value {
    serde_json::json!({ "level": level, "request_id": request_id, "what": what, "cause": cause })
}

/// How a call ended, for filters on severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The call succeeded.
    #[default]
    Info,
    /// The call failed or was refused.
    Warn,
}

impl Level {
    /// Returns the level of a call that succeeded or not.
    pub fn of_success(is_success: bool) -> Self {
        if is_success { Self::Info } else { Self::Warn }
    }
}

/// The line of one call to either Worker. The path is without its query; fields that a Worker does not
/// know are left out.
#[derive(Debug, Default, Serialize)]
pub struct Call<'a> {
    /// Severity.
    pub level: Level,
    /// `call` in the gateway, `request` in the admin API.
    pub event: &'static str,
    /// The id in the response's header.
    pub request_id: &'a str,
    /// The id of the call's usage event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<&'a str>,
    /// In upper case.
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// The response's status.
    pub status: u16,
    /// The outcome in the usage event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'a str>,
    /// The id of a known token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<&'a str>,
    /// The token's team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<&'a str>,
    /// The id of the route that the path leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_id: Option<&'a str>,
    /// The upstream's own id of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<&'a str>,
    /// `unconfirmed` if the change feed could not confirm in time what the decision was based on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<&'static str>,
    /// Time to the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_ms: Option<i64>,
    /// Time from sending to the upstream's first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_ms: Option<i64>,
    /// Time of the whole request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<i64>,
}

impl Call<'_> {
    /// Logs the line.
    pub fn log(&self) {
        if let Ok(line) = serde_json::to_string(self) {
            worker::console_log!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_only_the_fields_that_its_worker_knows() {
        let line = Call {
            event: "request",
            request_id: "r",
            method: "GET",
            path: "/",
            status: 200,
            ms: Some(1),
            ..Call::default()
        };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(
            text,
            r#"{"level":"info","event":"request","request_id":"r","method":"GET","path":"/","status":200,"ms":1}"#
        );
    }
}
