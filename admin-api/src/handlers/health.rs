//! `/health`

use crate::error::Failure;
use crate::request::{Call, respond};
use domain::api::Health;
use worker::Response;

/// `GET /health`: touches no store.
pub fn get(_: &Call) -> Result<Response, Failure> {
    respond(
        200,
        &Health {
            status: "ok".to_owned(),
            service: "admin-api".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    )
}
