//! The first page.

use crate::audit::AuditEntry;
use crate::upkeep::Notification;
use crate::usage::{Compared, Figures, UsageBucket, UsageGroup};
use domain::id::{TeamId, TokenId};
use domain::limit::LimitKind;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

/// The reader's time zone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HomeQuery {
    /// Time zone of the month, such as `Asia/Taipei` (IANA); UTC if absent.
    pub tz: Option<String>,
}

/// The first page's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Home {
    /// Start of the period, unix ms: 24 hours, the last of which is not over.
    pub from: UnixMs,
    /// Now, unix ms.
    pub to: UnixMs,
    /// Figures of the period.
    pub total: Figures,
    /// Its hours, with or without calls.
    pub series: Vec<UsageBucket>,
    /// Figures of the 24 hours before; `null` if they are not kept.
    pub previous: Option<Compared>,
    /// The money that the current month has cost.
    pub month: Month,
    /// The tokens that cost most, at most five; the busiest if none costs anything.
    pub spenders: Vec<UsageGroup>,
    /// The routes with the most errors, at most five. Those without any are left out.
    pub failing: Vec<UsageGroup>,
    /// Limits of calendar periods of which 80 % or more are used, at most 20, the fullest first. Of the tokens with
    /// such limits, the 500 that called last are looked at.
    pub budgets: Vec<BudgetUse>,
    /// Tokens that expire within seven days and were used within 30, soonest first, at most 20.
    pub expiring: Vec<ExpiringInUse>,
    /// Open notifications that the caller has not hidden, newest first, at most 50. Those about expiring tokens are left
    /// out.
    pub notices: Vec<Notification>,
    /// The newest changes that the caller may see, at most 30; empty if they may not read the audit log.
    pub changes: Vec<AuditEntry>,
    /// Tokens that are not revoked.
    pub tokens: u32,
    /// Routes, enabled or not.
    pub routes: u32,
}

/// The money that a month costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Month {
    /// Start of the month, unix ms.
    pub from: UnixMs,
    /// Start of the next month.
    pub to: UnixMs,
    /// Cost so far, in micro-dollars.
    pub cost_micros: u64,
    /// Cost of the whole month at the pace so far; `null` on its first day.
    pub projected_micros: Option<u64>,
}

/// A limit that is nearly or completely used up, as recorded calls tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetUse {
    /// The token; `null` for the budget of a team.
    pub token_id: Option<TokenId>,
    /// The team, or that of the token.
    pub team_id: TeamId,
    /// Name of the token or team.
    pub name: String,
    /// The limit.
    pub kind: LimitKind,
    /// The used amount.
    pub used: u64,
    /// The limit's value.
    pub most: u64,
    /// The time at which it begins again, unix ms.
    pub resets_at: UnixMs,
}

/// A token in use that expires soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExpiringInUse {
    /// Id of the token.
    pub id: TokenId,
    /// Name of the token, for display.
    pub name: String,
    /// The team that the token belongs to.
    pub team_id: TeamId,
    /// Unix ms.
    pub expires_at: UnixMs,
    /// Time of its last call, unix ms.
    pub last_used_at: UnixMs,
}
