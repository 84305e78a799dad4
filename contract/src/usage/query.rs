//! Queries of `/api/usage`.

use domain::id::{RouteId, TeamId, TokenId};
use domain::usage::outcome::Outcome;
use domain::usage::span::Interval;
use serde::{Deserialize, Serialize};

/// The period and its intervals; every field is optional. Times are unix ms or RFC 3339; the default is
/// the last 24 hours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Start of the period; 24 hours before its end if absent.
    pub from: Option<String>,
    /// End of the period, exclusive.
    pub to: Option<String>,
    /// If absent, hours for a period of up to 14 days, otherwise days.
    pub interval: Option<Interval>,
    /// The time zone of the days, such as `Asia/Taipei` (IANA); UTC if absent.
    pub tz: Option<String>,
    /// Only calls with tokens of this team.
    pub team_id: Option<TeamId>,
    /// Only calls with this token.
    pub token_id: Option<TokenId>,
    /// Only calls to this route.
    pub route_id: Option<RouteId>,
}

/// The period and its intervals, for a report whose path names its subject; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpanQuery {
    /// Start of the period: unix ms or RFC 3339; 24 hours before its end if absent.
    pub from: Option<String>,
    /// End of the period, exclusive: unix ms or RFC 3339; now if absent.
    pub to: Option<String>,
    /// If absent, hours for a period of up to 14 days, otherwise days.
    pub interval: Option<Interval>,
    /// Time zone of the days, such as `Asia/Taipei` (IANA); UTC if absent.
    pub tz: Option<String>,
}

/// The route, and the period with its intervals; all but the route are optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RoutePathQuery {
    /// Path of the route, such as `/api/openai`.
    pub route_path: String,
    /// Start of the period: unix ms or RFC 3339; 24 hours before its end if absent.
    pub from: Option<String>,
    /// End of the period, exclusive: unix ms or RFC 3339; now if absent.
    pub to: Option<String>,
    /// If absent, hours for a period of up to 14 days, otherwise days.
    pub interval: Option<Interval>,
    /// Time zone of the days, such as `Asia/Taipei` (IANA); UTC if absent.
    pub tz: Option<String>,
}

/// Query of the lists of tokens and routes; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageListQuery {
    /// Start of the period: unix ms or RFC 3339; 24 hours before its end if absent.
    pub from: Option<String>,
    /// End of the period, exclusive: unix ms or RFC 3339; now if absent.
    pub to: Option<String>,
    /// Only calls with tokens of this team.
    pub team_id: Option<TeamId>,
    /// Part of the name or path, any case.
    pub search: Option<String>,
    /// The order; busiest first if absent.
    pub sort: Option<UsageSort>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// Query of the labels that calls carried; every field is optional. Times are unix ms or RFC 3339.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LabelQuery {
    /// Only labels that were last used from here on; 24 hours before `to` if absent, and at most 92 days before it. Their
    /// sums cover the whole of its day (UTC).
    pub from: Option<String>,
    /// End of the period, exclusive; now if absent. The whole of its day (UTC) counts.
    pub to: Option<String>,
    /// Only labels of this team's tokens.
    pub team_id: Option<TeamId>,
    /// Only labels of this token.
    pub token_id: Option<TokenId>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
}

/// The order: highest first, except `name`, which is ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageSort {
    /// All calls.
    #[default]
    Calls,
    /// Calls with another outcome than `ok`.
    Errors,
    /// Time of the last call.
    LastUsed,
    /// The token's name, or the route's path.
    Name,
}

/// Query of single calls; every field is optional. Without `from`, a list that names no token, route or team
/// covers the 24 hours before its end, unless it asks for an id. Otherwise, and in an export, the default is all calls that are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Start of the period: unix ms or RFC 3339.
    pub from: Option<String>,
    /// End of the period, exclusive: unix ms or RFC 3339; now if absent.
    pub to: Option<String>,
    /// Only calls with tokens of this team.
    pub team_id: Option<TeamId>,
    /// Only calls with this token.
    pub token_id: Option<TokenId>,
    /// Only calls to this route.
    pub route_id: Option<RouteId>,
    /// An outcome such as `denied-scope`.
    pub outcome: Option<Outcome>,
    /// A status such as `404`, or a class: `2xx`, `3xx`, `4xx` or `5xx`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^([1-5]xx|[1-5][0-9]{2})$")))]
    pub status: Option<String>,
    /// An HTTP method, any case.
    pub method: Option<String>,
    /// Beginning of the path.
    pub path: Option<String>,
    /// A part of the path.
    pub path_contains: Option<String>,
    /// Only calls of this AI model.
    pub model: Option<String>,
    /// Only the call whose record has this id.
    pub id: Option<String>,
    /// Only calls with this id, as the response's `X-Request-Id` told it.
    pub request_id: Option<String>,
    /// Only calls from this address.
    pub client_ip: Option<String>,
    /// Only calls with this secret, by its `id` in `GET /api/tokens/{id}/secrets`.
    pub secret: Option<String>,
    /// Only calls with this label, as it is shown.
    pub label: Option<String>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}
