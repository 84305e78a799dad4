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
