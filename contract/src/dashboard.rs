//! `/api/dashboard/overview` and `/api/stats`: figures for the first page.

use crate::audit::AuditEntry;
use crate::endpoint;
use crate::usage::{Figures, RouteUsage, TokenUsage};
use domain::id::{TeamId, TokenId};
use domain::people::role::Action;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

endpoint!(
    /// Returns the figures of the first page for the teams that the caller may see, over a period; see
    /// [`OverviewQuery`].
    GetOverview, "GET", "/api/dashboard/overview", Some(Action::ReadUsage), 200, OverviewQuery => Overview
);
endpoint!(
    /// Counts tokens, routes, teams, people and calls, as far as the caller may see them.
    GetCounts, "GET", "/api/stats", Some(Action::ReadUsage), 200, () => Counts
);

/// The period; every field is optional. The default is the last 24 hours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OverviewQuery {
    pub from: Option<String>,
    pub to: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Tokens that are not revoked.
    pub tokens: u32,
    pub tokens_active: u32,
    pub tokens_disabled: u32,
    pub tokens_expired: u32,
    pub tokens_revoked: u32,
    pub routes: u32,
    pub teams: u32,
    /// Members of those teams.
    pub people: u32,
    /// Calls of all time.
    pub calls: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Overview {
    pub from: UnixMs,
    pub to: UnixMs,
    pub counts: Counts,
    pub total: Figures,
    /// The busiest tokens, at most five.
    pub busiest_tokens: Vec<TokenUsage>,
    pub busiest_routes: Vec<RouteUsage>,
    /// Tokens made in the last 30 days, by day in UTC; days without any are left out.
    pub tokens_created: Vec<Created>,
    pub tokens_by_team: Vec<TeamTokens>,
    /// Tokens that expire within 30 days, soonest first, at most 20.
    pub expiring: Vec<Expiring>,
    /// The last ten changes that the caller may see; empty if they may not read the audit log.
    pub recent_changes: Vec<AuditEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Created {
    pub day: UnixMs,
    pub tokens: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamTokens {
    pub team_id: TeamId,
    pub name: String,
    pub tokens: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expiring {
    pub id: TokenId,
    pub name: String,
    pub team_id: TeamId,
    pub expires_at: UnixMs,
}
