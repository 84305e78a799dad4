//! The response of `GET /health`, of both Workers.

use serde::{Deserialize, Serialize};

/// The response of `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// Always `ok`: responding at all is the sign of health.
    pub status: String,
    /// `gateway` or `admin-api`.
    pub service: String,
    /// Version of the Worker's crate.
    pub version: String,
    /// `away` while the gateway's isolate that responds cannot read the change feed, so that changes take as long as KV
    /// does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
}
