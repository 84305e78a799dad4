//! The handlers' responses, typed by endpoint, and their encoding.

use crate::error::Failure;
use crate::request::etag;
use contract::Propagation;
use contract::dry_run::DryRun;
use serde::Serialize;
use worker::Response;

/// The outcome of a handler.
pub type Answer<T> = Result<Reply<T>, Failure>;

/// A response with a body of type `T`.
#[derive(Debug)]
pub struct Reply<T> {
    content: Content<T>,
    status: Option<u16>,
    version: Option<u64>,
}

#[derive(Debug)]
enum Content<T> {
    Value(T),
    Ready(Response),
}

impl<T> Reply<T> {
    /// Sets a status other than the endpoint's own.
    pub fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }
}

impl<T: Serialize> Reply<T> {
    /// Encodes the response; `done` is the endpoint's own status.
    pub fn encode(self, done: u16) -> Result<Response, Failure> {
        match self.content {
            Content::Ready(response) => Ok(response),
            Content::Value(value) => {
                let json = serde_json::to_string(&value).map_err(|e| Failure::Internal(e.to_string()))?;
                json_response(json, self.status.unwrap_or(done), self.version)
            }
        }
    }
}

/// Makes a JSON response that is never cached. `no-transform` keeps an edge from compressing a response with a
/// version, which would weaken its tag (RFC 9111, section 5.2.2.6).
fn json_response(json: String, status: u16, version: Option<u64>) -> Result<Response, Failure> {
    let response = Response::ok(json)?.with_status(status);
    let headers = response.headers();
    headers.set("content-type", "application/json")?;
    headers.set("cache-control", if version.is_some() { "no-store, no-transform" } else { "no-store" })?;
    if let Some(version) = version {
        headers.set("etag", &etag(version))?;
    }
    Ok(response)
}

#[expect(clippy::unnecessary_wraps, reason = "a handler ends with it")]
pub fn respond<T>(value: T) -> Answer<T> {
    Ok(Reply { content: Content::Value(value), status: None, version: None })
}

/// Responds with a value and its version, which `If-Match` may name.
#[expect(clippy::unnecessary_wraps, reason = "a handler ends with it")]
pub fn respond_versioned<T>(version: u64, value: T) -> Answer<T> {
    Ok(Reply { content: Content::Value(value), status: None, version: Some(version) })
}

/// Responds after a change. The status is 202 if KV has not taken it yet: it is made, but not in force everywhere.
#[expect(clippy::unnecessary_wraps, reason = "a handler ends with it")]
pub fn respond_after<T>(propagation: Propagation, version: Option<u64>, value: T) -> Answer<T> {
    let status = match propagation {
        Propagation::Published => None,
        Propagation::Pending => Some(202),
    };
    Ok(Reply { content: Content::Value(value), status, version })
}

/// Responds to a dry run: with its report, where a change would be reported.
pub fn respond_tried<T>(report: &DryRun) -> Answer<T> {
    let json = serde_json::to_string(report).map_err(|e| Failure::Internal(e.to_string()))?;
    json_response(json, 200, None).map(ready)
}

/// Makes a reply from a finished response that is not the JSON of a `T`, such as a file.
pub fn ready<T>(response: Response) -> Reply<T> {
    Reply { content: Content::Ready(response), status: None, version: None }
}
