//! Single calls, and a token's own usage.

use super::Figures;
use crate::limits::TokenLimits;
use domain::id::{RouteId, TeamId, TokenId};
use domain::time::UnixMs;
use domain::usage::Refused;
use domain::usage::errors::VendorError;
use serde::{Deserialize, Serialize};

/// A page of single calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallPage {
    /// Calls, newest first, at most `limit`.
    pub items: Vec<CallView>,
    /// Position of the next page; absent on the last page. Even a page that is not full, or is empty, may have one.
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
    /// Id of the token.
    pub token_id: TokenId,
    /// Name of the token, for display.
    pub name: String,
    /// Unix ms; `null` means that the token never expires.
    pub expires_at: Option<UnixMs>,
    /// The limits in force and their use.
    #[serde(flatten)]
    pub limits: TokenLimits,
    /// Figures since the token was made.
    pub total: Figures,
    /// The last ten calls, newest first.
    pub recent: Vec<RecentCall>,
}

/// A call as the token's holder sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecentCall {
    /// Unique id of the call's record.
    pub id: String,
    /// Time at which the call came in, unix ms.
    pub at: UnixMs,
    /// HTTP method, in upper case.
    pub method: String,
    /// Path of the request without its query, at most 512 bytes.
    pub path: String,
    /// Path of the route at the time; `null` if no route matched.
    pub route_path: Option<String>,
    /// Status of the response that the client got.
    pub status: u16,
    /// An outcome such as `denied-scope`. Later versions may add some.
    pub outcome: String,
    /// Time from the call's arrival to the upstream's first byte, or to the call's end if no byte came.
    pub latency_ms: u32,
    /// Id of the call, as in the response's `X-Request-Id`.
    pub request_id: String,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallView {
    /// Unique id of the call's record.
    pub id: String,
    /// Time at which the call came in, unix ms.
    pub at: UnixMs,
    /// The token that called.
    pub token_id: TokenId,
    /// Current name of the token; `null` if it is not in the database.
    pub token_name: Option<String>,
    /// The nonce of the token derived from it that made the call, or that the call derived; `null` for the token's own
    /// calls.
    #[serde(default)]
    pub derived: Option<String>,
    /// The team that the token belonged to.
    pub team_id: TeamId,
    /// The route that matched; `null` if none did.
    pub route_id: Option<RouteId>,
    /// Path of the route at the time; `null` if no route matched.
    pub route_path: Option<String>,
    /// HTTP method, in upper case.
    pub method: String,
    /// Path of the request without its query, at most 512 bytes.
    pub path: String,
    /// Status of the response that the client got.
    pub status: u16,
    /// An outcome such as `denied-scope`. Later versions may add some.
    pub outcome: String,
    /// Time from the call's arrival to the upstream's first byte, or to the call's end if no byte came.
    pub latency_ms: u32,
    /// The gateway's own part of `latency_ms`.
    pub gateway_ms: u32,
    /// Duration of the whole call, if the gateway saw its end; otherwise `null`. It watches for the end of web
    /// sockets, AI calls and calls with a reservation.
    pub duration_ms: Option<u32>,
    /// The label that the client gave in `X-Workflow`, such as its workflow's name; `null` if it gave none.
    #[serde(default)]
    pub label: Option<String>,
    /// Whether the response came from the route's second upstream.
    #[serde(default)]
    pub second: bool,
    /// How often the call was sent again after a wait.
    #[serde(default)]
    pub retries: u8,
    /// The credential of the route's pool that served the call, by its name; `null` if the route has no pool or none of it
    /// served.
    #[serde(default)]
    pub credential: Option<String>,
    /// The credentials of a pool that the upstream refused before, with its status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// The limit that refused the call, such as `calls-per-minute`; `null` if none did, or if it is not known.
    #[serde(default)]
    pub limit: Option<String>,
    /// The upstream's own id of the call, if it responded with a status of 400 or more; its support asks for it.
    #[serde(default)]
    pub upstream_request_id: Option<String>,
    /// The beginning of the upstream's response, if it told of an error and the route keeps that. Present only if the call
    /// was asked for by its `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<VendorError>,
    /// Length of the request's body; `null` if it was not announced.
    pub bytes_in: Option<u64>,
    /// Length of the response's body; `null` if it was not announced.
    pub bytes_out: Option<u64>,
    /// Address of the client; `null` if it is not known.
    pub client_ip: Option<String>,
    /// The client's `User-Agent`, cut after 200 bytes; `null` if it sent none.
    pub user_agent: Option<String>,
    /// Country of the client, ISO 3166-1 alpha-2; `null` if it is not known.
    pub country: Option<String>,
    /// Id of the call, as in the response's `X-Request-Id`.
    pub request_id: String,
    /// The AI model that responded, or else the one that was asked for; `null` for other calls.
    pub model: Option<String>,
    /// Tokens of the prompt, including cached ones; `null` if unknown.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the completion, including reasoning; `null` if unknown.
    pub completion_tokens: Option<u64>,
    /// The part of the prompt tokens that the vendor read from its cache; `null` if unknown.
    pub cached_tokens: Option<u64>,
    /// The part of the prompt tokens that was written to the vendor's cache; `null` if unknown.
    pub cache_write_tokens: Option<u64>,
    /// The part of the completion tokens that was reasoning; `null` if unknown.
    pub reasoning_tokens: Option<u64>,
    /// Cost in micro-dollars; `null` if unknown, such as for a model without a price.
    pub cost_micros: Option<u64>,
}
