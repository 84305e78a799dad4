//! Calls that another gateway served, in the earlier system's form.

use domain::time::{UnixMs, parse_v1};
use domain::token::TokenHash;
use serde::{Deserialize, Serialize};

/// The nine fields of the earlier system.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageLogRequest {
    /// Lower-case hex SHA-256 of the token.
    pub token_hash: TokenHash,
    /// The route's path, such as `/api/openai`, or a path below it.
    pub route: String,
    /// Unix ms, or RFC 3339; without a zone it is UTC.
    pub timestamp: LoggedAt,
    pub response_status: u16,
    #[serde(default)]
    pub response_time_ms: Option<f64>,
    #[serde(default)]
    pub ip_address: Option<String>,
    #[serde(default)]
    pub user_agent: Option<String>,
    #[serde(default)]
    pub request_method: Option<String>,
    #[serde(default)]
    pub error_message: Option<String>,
    /// The call's id at the gateway that served it, at most 128 characters. It distinguishes calls that are equal in
    /// every other field; without it, such calls count once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum LoggedAt {
    UnixMs(i64),
    Text(String),
}

impl LoggedAt {
    pub fn unix_ms(&self) -> Option<UnixMs> {
        match self {
            Self::UnixMs(at) => Some(*at),
            Self::Text(text) => parse_v1(text),
        }
    }
}

/// Whether the call is recorded; a call with an unknown token is only counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageLogged {
    pub recorded: bool,
    /// Id of the call; every repeat gets the same one.
    pub id: String,
}
