//! Single calls, and a token's own usage.

use super::Figures;
use crate::limits::TokenLimits;
use domain::id::{RouteId, TeamId, TokenId};
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

/// A page of single calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallPage {
    pub items: Vec<CallView>,
    /// Absent at the end. A page may have one even if it is not full, or is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Calls down to this time were searched; absent if the page is full or nothing is left to search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched_to: Option<UnixMs>,
}

/// A token's usage, in the form that its holder may see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OwnUsage {
    pub token_id: TokenId,
    pub name: String,
    pub expires_at: Option<UnixMs>,
    #[serde(flatten)]
    pub limits: TokenLimits,
    /// Figures since the token was made.
    pub total: Figures,
    /// The last ten calls, newest first.
    pub recent: Vec<RecentCall>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecentCall {
    pub id: String,
    pub at: UnixMs,
    pub method: String,
    pub path: String,
    pub route_path: Option<String>,
    pub status: u16,
    pub outcome: String,
    pub latency_ms: u32,
    pub request_id: String,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallView {
    pub id: String,
    pub at: UnixMs,
    pub token_id: TokenId,
    pub token_name: Option<String>,
    pub team_id: TeamId,
    pub route_id: Option<RouteId>,
    pub route_path: Option<String>,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub outcome: String,
    pub latency_ms: u32,
    pub gateway_ms: u32,
    /// Duration of the whole call if its end was seen: web sockets, AI calls, calls with a reservation.
    pub duration_ms: Option<u32>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub client_ip: Option<String>,
    pub user_agent: Option<String>,
    pub country: Option<String>,
    pub request_id: String,
    pub model: Option<String>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    /// Parts of the prompt tokens, and of the completion tokens.
    pub cached_tokens: Option<u64>,
    pub cache_write_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
    pub cost_micros: Option<u64>,
}
