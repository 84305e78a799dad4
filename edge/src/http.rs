//! Parts of a response that both Workers make in the same way.

use domain::error::ErrorEnvelope;
use domain::upstream::headers::REQUEST_ID;
use serde::Serialize;
use wasm_bindgen::JsValue;
use web_sys::Headers;
use worker::{Response, Result};

/// Turns an error into a response. No other place does.
pub fn error<D: Serialize>(status: u16, envelope: &ErrorEnvelope<D>) -> Result<Response> {
    let response = Response::from_json(envelope)?.with_status(status);
    let headers = &response.headers().0;
    set_request_id(headers, &envelope.request_id)?;
    headers.set("cache-control", "no-store")?;
    Ok(response)
}

/// Sets the header by which a call is found in the logs.
pub fn set_request_id(headers: &Headers, request_id: &str) -> Result<(), JsValue> {
    headers.set(REQUEST_ID, request_id)
}

/// Lets pages of the allowed `origin` read the response and the headers that `exposed` lists. `Vary: Origin`
/// is set even if no origin is allowed, because the response to an allowed one would differ.
pub fn set_cors(
    headers: &Headers,
    origin: Option<&str>,
    exposed: impl FnOnce(&Headers) -> String,
) -> Result<(), JsValue> {
    headers.append("vary", "Origin")?;
    let Some(origin) = origin else { return Ok(()) };
    headers.set("access-control-allow-origin", origin)?;
    headers.set("access-control-expose-headers", &exposed(headers))
}

/// Answers a CORS preflight: the methods and headers that a page may send.
pub fn set_preflight(
    headers: &Headers,
    methods: &str,
    names: Option<&str>,
    max_age_s: u32,
) -> Result<(), JsValue> {
    headers.set("access-control-allow-methods", methods)?;
    if let Some(names) = names {
        headers.set("access-control-allow-headers", names)?;
    }
    headers.set("access-control-max-age", &max_age_s.to_string())
}
