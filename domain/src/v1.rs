//! The earlier JavaScript system: its values in KV, and the import of its data.

pub mod auth;
pub mod dump;
pub mod import;
pub mod kv;
