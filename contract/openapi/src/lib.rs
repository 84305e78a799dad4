//! The OpenAPI document and its page, made from the contract's types. Native only; no Worker contains them.

#![expect(
    clippy::indexing_slicing,
    reason = "a missing JSON value indexes as null, and this runs at build time only"
)]

pub mod config;
pub mod document;
pub mod page;
