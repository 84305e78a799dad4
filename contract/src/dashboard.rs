//! `/api/dashboard` and `/api/stats`: figures for the first page.

mod home;

use crate::audit::AuditEntry;
use crate::endpoint;
use crate::usage::{Figures, RouteUsage, TokenUsage};
use domain::id::{TeamId, TokenId};
use domain::people::role::Action;
use domain::time::UnixMs;
pub use home::{BudgetUse, ExpiringInUse, Home, HomeQuery, Month};
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

endpoint!(
    /// Returns what the first page shows of the teams that the caller may see: the calls of the last 24 hours, compared
    /// with the 24 before, and everything that needs attention.
    GetHome, "GET", "/api/dashboard/home", Some(Action::ReadUsage), 200, HomeQuery => Home
);

/// The period; every field is optional. The default is the last 24 hours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OverviewQuery {
    /// Start of the period: unix ms or RFC 3339; 24 hours before its end if absent.
    pub from: Option<String>,
    /// End of the period, exclusive: unix ms or RFC 3339; now if absent.
    pub to: Option<String>,
}

/// Counts of the records that the caller may see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Tokens that are not revoked.
    pub tokens: u32,
    /// Tokens that are neither revoked, disabled nor expired.
    pub tokens_active: u32,
    /// Disabled tokens, expired or not, that are not revoked.
    pub tokens_disabled: u32,
    /// Expired tokens that are neither disabled nor revoked.
    pub tokens_expired: u32,
    /// Revoked tokens.
    pub tokens_revoked: u32,
    /// Routes, enabled or not.
    pub routes: u32,
    /// Teams that the caller may see.
    pub teams: u32,
    /// Members of those teams.
    pub people: u32,
    /// Calls of all time.
    pub calls: u64,
}

/// Figures for the first page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Overview {
    /// Start of the period, unix ms.
    pub from: UnixMs,
    /// End of the period, exclusive, unix ms.
    pub to: UnixMs,
    /// Counts of records as they are now.
    pub counts: Counts,
    /// Figures of all calls in the period.
    pub total: Figures,
    /// The busiest tokens, at most five.
    pub busiest_tokens: Vec<TokenUsage>,
    /// The busiest routes, at most five.
    pub busiest_routes: Vec<RouteUsage>,
    /// Tokens made in the last 30 days, by day in UTC; days without any are left out.
    pub tokens_created: Vec<Created>,
    /// Teams with their tokens, most tokens first.
    pub tokens_by_team: Vec<TeamTokens>,
    /// Tokens that expire within 30 days, soonest first, at most 20.
    pub expiring: Vec<Expiring>,
    /// The last ten changes that the caller may see; empty if they may not read the audit log.
    pub recent_changes: Vec<AuditEntry>,
}

/// Number of tokens made on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Created {
    /// Start of the day in UTC, unix ms.
    pub day: UnixMs,
    /// Tokens made on that day, including those revoked since.
    pub tokens: u32,
}

/// Number of tokens of one team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamTokens {
    /// Id of the team.
    pub team_id: TeamId,
    /// Name of the team, for display.
    pub name: String,
    /// Tokens that are not revoked.
    pub tokens: u32,
}

/// A token that expires soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expiring {
    /// Id of the token.
    pub id: TokenId,
    /// Name of the token, for display.
    pub name: String,
    /// The team that the token belongs to.
    pub team_id: TeamId,
    /// Unix ms.
    pub expires_at: UnixMs,
}
