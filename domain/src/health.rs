//! The response of `GET /health`, of both Workers.

use serde::{Deserialize, Serialize};

/// The answer of `GET /health`, of both Workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// Always `ok`: that it answers is the news.
    pub status: String,
    /// `gateway` or `admin-api`.
    pub service: String,
    pub version: String,
}
