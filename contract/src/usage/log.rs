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
    /// HTTP status of the response: 100 to 599.
    pub response_status: u16,
    /// Duration of the call: 0 to 86,400,000 ms; null or absent counts as 0.
    #[serde(default)]
    pub response_time_ms: Option<f64>,
    /// Address of the client, cut after 64 bytes.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// The client's `User-Agent`, cut after 200 bytes.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// 1 to 16 letters, any case; null or absent counts as `GET`.
    #[serde(default)]
    pub request_method: Option<String>,
    /// Accepted for compatibility. It is not kept, but distinguishes calls without a `request_id`.
    #[serde(default)]
    pub error_message: Option<String>,
    /// The call's id at the gateway that served it, at most 128 characters. It distinguishes calls that are equal in
    /// every other field; without it, such calls count once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The time of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum LoggedAt {
    /// Unix ms.
    UnixMs(i64),
    /// RFC 3339, or the same without a zone, which is UTC.
    Text(String),
}

impl LoggedAt {
    /// Returns unix ms; `None` if the text is no time.
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
    /// Whether the token is known, so that the call appears in reports.
    pub recorded: bool,
    /// Id of the call; every repeat gets the same one.
    pub id: String,
}
