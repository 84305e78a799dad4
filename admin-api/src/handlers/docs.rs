//! The API's description, made from the types at build time.

use crate::error::Failure;
use crate::respond::{Answer, ready};
use serde_json::Value;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Response;

#[wasm_bindgen(module = "/js/documents.js")]
extern "C" {
    fn describe() -> web_sys::Response;
    #[wasm_bindgen(js_name = describeConfig)]
    fn describe_config() -> web_sys::Response;
    #[wasm_bindgen(js_name = describeAsPage)]
    fn describe_as_page() -> web_sys::Response;
}

/// `GET /openapi.json`
pub fn document() -> Answer<Value> {
    respond(describe(), "application/json").map(ready)
}

/// `GET /config.schema.json`. Any editor may read it.
pub fn schema() -> Answer<Value> {
    respond(describe_config(), "application/schema+json").map(ready)
}

/// `GET /docs`. The page allows no script, no outside resources and no framing.
pub fn page() -> Answer<String> {
    let response = respond(describe_as_page(), "text/html; charset=utf-8")?;
    let headers = response.headers();
    headers.set(
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )?;
    headers.set("x-content-type-options", "nosniff")?;
    Ok(ready(response))
}

fn respond(document: web_sys::Response, media: &str) -> Result<Response, Failure> {
    let response = Response::from(document);
    response.headers().set("content-type", media)?;
    response.headers().set("cache-control", "public, max-age=300")?;
    Ok(response)
}
