//! `/api/usage`: which tokens and routes were called, how often and how fast.

use crate::Auth;
use crate::limits::TokenLimits;
use crate::{Page, endpoint};
use domain::id::{RouteId, TeamId, TokenId};
use domain::people::role::Action;
use domain::time::{UnixMs, parse_v1};
use domain::token::TokenHash;
use domain::usage::outcome::Outcome;
use domain::usage::rollup::Rollup;
use domain::usage::span::Interval;
use serde::{Deserialize, Serialize};

endpoint!(
    /// Returns sums over the teams that the caller may see; see [`UsageQuery`].
    GetUsageStats, "GET", "/api/usage/stats", Some(Action::ReadUsage), 200, UsageQuery => UsageStats
);
endpoint!(
    /// Returns one token's sums, split by route.
    GetTokenUsage, "GET", "/api/usage/token/{id}", Some(Action::ReadUsage), 200, SpanQuery => UsageStats
);
endpoint!(
    /// Returns one route's sums, split by token.
    GetRouteUsage, "GET", "/api/usage/route", Some(Action::ReadRoute), 200, RoutePathQuery => UsageStats
);
endpoint!(
    /// Returns one team's sums.
    GetTeamUsage, "GET", "/api/usage/team/{id}", Some(Action::ReadUsage), 200, SpanQuery => UsageStats
);
endpoint!(
    /// Lists every token that the caller may see, called or not, with its figures.
    ListTokenUsage, "GET", "/api/usage/tokens", Some(Action::ReadUsage), 200, UsageListQuery => Page<TokenUsage>
);
endpoint!(
    /// Lists every route, called or not, with its figures.
    ListRouteUsage, "GET", "/api/usage/routes", Some(Action::ReadRoute), 200, UsageListQuery => Page<RouteUsage>
);
endpoint!(
    /// Lists single calls, newest first, as long as they are kept; see [`EventQuery`]. One request searches
    /// a bounded number of calls: follow `next_cursor` to search further.
    ListEvents, "GET", "/api/usage/events", Some(Action::ReadUsage), 200, EventQuery => CallPage
);
endpoint!(
    /// Exports single calls as CSV, up to some nine million; if there are more, the last line says how to continue.
    /// `limit` and `cursor` are not accepted.
    ExportEvents, "GET", "/api/usage/export", Some(Action::ReadUsage), 200, EventQuery => String,
    media: "text/csv"
);
endpoint!(
    /// Returns a token's own usage; the token goes in `X-API-Key`.
    GetOwnUsage, "GET", "/api/usage/me", None, 200, () => OwnUsage,
    auth: Auth::ApiKey
);
endpoint!(
    /// Returns a token's own usage, on the earlier system's path.
    GetOwnRecentCalls, "GET", "/api/usage/test-data", None, 200, () => OwnUsage,
    auth: Auth::ApiKey
);
endpoint!(
    /// Records a call that another gateway served, in the earlier system's form; signed with
    /// `X-Signature` (see `domain::signature`). A repeat counts once: calls with a `request_id` are compared by it,
    /// others by all their fields.
    LogUsage, "POST", "/api/usage-log", None, 202, UsageLogRequest => UsageLogged,
    is_change: false,
    auth: Auth::Signature,
    example: Some(r#"{ "token_hash": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "route": "/api/openai", "timestamp": "2026-11-01T00:00:00Z", "response_status": 200 }"#)
);

/// The period and its intervals; every field is optional. Times are unix ms or RFC 3339; the default is
/// the last 24 hours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    pub from: Option<String>,
    /// End of the period, exclusive.
    pub to: Option<String>,
    /// If absent, hours for a period of up to 14 days, otherwise days.
    pub interval: Option<Interval>,
    /// The time zone of the days, such as `Asia/Taipei` (IANA); UTC if absent.
    pub tz: Option<String>,
    pub team_id: Option<TeamId>,
    pub token_id: Option<TokenId>,
    pub route_id: Option<RouteId>,
}

/// [`UsageQuery`] for a path that names the subject.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpanQuery {
    pub from: Option<String>,
    pub to: Option<String>,
    pub interval: Option<Interval>,
    pub tz: Option<String>,
}

/// [`SpanQuery`] for the route at a path.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RoutePathQuery {
    pub route_path: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub interval: Option<Interval>,
    pub tz: Option<String>,
}

/// Query of the lists of tokens and routes; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageListQuery {
    pub from: Option<String>,
    pub to: Option<String>,
    pub team_id: Option<TeamId>,
    /// Part of the name or path, any case.
    pub search: Option<String>,
    pub sort: Option<UsageSort>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

/// The order: highest first, except `name`, which is ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageSort {
    #[default]
    Calls,
    /// Calls that failed.
    Errors,
    LastUsed,
    Name,
}

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

/// Query of single calls; every field is optional. Without `from`, a list that names no token, route or team
/// covers the last 24 hours. Otherwise, and in an export, the default is all calls that are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    pub from: Option<String>,
    pub to: Option<String>,
    pub team_id: Option<TeamId>,
    pub token_id: Option<TokenId>,
    pub route_id: Option<RouteId>,
    /// An outcome such as `denied-scope`.
    pub outcome: Option<Outcome>,
    /// `2xx`, `3xx`, `4xx` or `5xx`.
    pub status: Option<StatusClass>,
    pub method: Option<String>,
    /// Beginning of the path.
    pub path: Option<String>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StatusClass {
    #[serde(rename = "2xx")]
    Success,
    #[serde(rename = "3xx")]
    Redirect,
    #[serde(rename = "4xx")]
    ClientError,
    #[serde(rename = "5xx")]
    ServerError,
}

impl StatusClass {
    pub fn hundreds(self) -> u32 {
        match self {
            Self::Success => 2,
            Self::Redirect => 3,
            Self::ClientError => 4,
            Self::ServerError => 5,
        }
    }
}

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

/// The figures that a report shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    pub calls: u64,
    pub ok: u64,
    pub client_errors: u64,
    pub upstream_errors: u64,
    pub timeouts: u64,
    pub gateway_errors: u64,
    pub denied: u64,
    pub limited: u64,
    /// Successful calls per thousand that reached an upstream; `None` if none did.
    pub success_permille: Option<u64>,
    pub mean_ms: Option<u64>,
    pub p50_ms: Option<u32>,
    pub p95_ms: Option<u32>,
    pub p99_ms: Option<u32>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Prompt tokens of AI calls.
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_tokens: u64,
    /// Cost in micro-dollars.
    pub cost_micros: u64,
}

impl From<&Rollup> for Figures {
    fn from(r: &Rollup) -> Self {
        let served = r.served();
        Self {
            calls: r.calls,
            ok: r.ok,
            client_errors: r.client_errors,
            upstream_errors: r.upstream_errors,
            timeouts: r.timeouts,
            gateway_errors: r.gateway_errors,
            denied: r.denied,
            limited: r.limited,
            success_permille: r.ok.saturating_mul(1000).checked_div(served),
            mean_ms: r.latency_sum_ms.checked_div(served),
            p50_ms: r.latency.percentile_ms(50),
            p95_ms: r.latency.percentile_ms(95),
            p99_ms: r.latency.percentile_ms(99),
            bytes_in: r.bytes_in,
            bytes_out: r.bytes_out,
            prompt_tokens: r.prompt_tokens,
            completion_tokens: r.completion_tokens,
            cached_tokens: r.cached_tokens,
            cost_micros: r.cost_micros,
        }
    }
}

/// Figures of one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageBucket {
    /// Start of the interval, unix ms.
    pub at: UnixMs,
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageStats {
    pub from: UnixMs,
    pub to: UnixMs,
    pub interval: Interval,
    /// The time zone of the days.
    pub tz: String,
    pub total: Figures,
    /// Intervals in ascending order; those without calls are left out.
    pub series: Vec<UsageBucket>,
    /// The busiest 50 tokens; [`ListTokenUsage`] has all.
    pub by_token: Vec<TokenUsage>,
    pub by_route: Vec<RouteUsage>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenUsage {
    pub token_id: TokenId,
    /// `None` for a token that is not in the database.
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<UnixMs>,
    #[serde(flatten)]
    pub figures: Figures,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteUsage {
    /// `None` for calls that matched no route.
    pub route_id: Option<RouteId>,
    /// `None` for a route that has been deleted.
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<UnixMs>,
    #[serde(flatten)]
    pub figures: Figures,
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
