//! The API's description, made from the types at build time.

use crate::error::Failure;
use crate::respond::{Answer, ready};
use serde_json::Value;
use worker::Response;

const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));
const SCHEMA: &str = include_str!(concat!(env!("OUT_DIR"), "/config.schema.json"));
const PAGE: &str = include_str!("../../openapi/docs.html");

/// `GET /openapi.json`
pub fn document() -> Answer<Value> {
    respond(DOCUMENT, "application/json").map(ready)
}

/// `GET /config.schema.json`. Any editor may read it.
pub fn schema() -> Answer<Value> {
    respond(SCHEMA, "application/schema+json").map(ready)
}

/// `GET /docs`. The page allows no script, no outside resources and no framing.
pub fn page() -> Answer<String> {
    let response = respond(PAGE, "text/html; charset=utf-8")?;
    let headers = response.headers();
    headers.set(
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    )?;
    headers.set("x-content-type-options", "nosniff")?;
    Ok(ready(response))
}

fn respond(text: &str, media: &str) -> Result<Response, Failure> {
    let response = Response::ok(text)?;
    response.headers().set("content-type", media)?;
    response.headers().set("cache-control", "public, max-age=300")?;
    Ok(response)
}
