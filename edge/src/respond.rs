//! The error envelope as a response.

use domain::error::ErrorEnvelope;
use domain::upstream::headers::REQUEST_ID;
use worker::{Response, Result};

/// The one place where an error becomes a response.
pub fn error(status: u16, envelope: &ErrorEnvelope) -> Result<Response> {
    let response = Response::from_json(envelope)?.with_status(status);
    response.headers().set(REQUEST_ID, &envelope.request_id)?;
    response.headers().set("cache-control", "no-store")?;
    Ok(response)
}
