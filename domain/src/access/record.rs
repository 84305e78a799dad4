//! The record of a token, as the gateway reads it.

use crate::access::scope::Scope;
use crate::id::{TeamId, TokenId};
use crate::limit::ledger::{Ask, Take, TeamBudget, Wish, Zone};
use crate::limit::{Limits, OnLimitFailure};
use crate::stored::{readable, readable_allow_list};
use crate::time::UnixMs;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Whether a token may be used at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum TokenState {
    #[default]
    Active,
    Disabled,
    Revoked,
}

/// One secret of a token as the gateway knows it: the value of `token:<hash>`.
///
/// JSON, version 2. Times are unix ms. A record that lacks `scopes` grants nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Version of the format, [`TokenRecord::VERSION`].
    pub v: u8,
    /// The token's id; all of its secrets share it.
    pub id: TokenId,
    /// The name that people gave it.
    pub name: String,
    /// The team that owns it.
    pub team: TeamId,
    /// One that cannot be read grants nothing.
    #[serde(default, deserialize_with = "readable")]
    pub scopes: Vec<Scope>,
    /// Bounds that `scopes`, narrowed to the team's cap, do not keep by themselves: a call must lie within both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Vec<Scope>>,
    /// When the token ends, unix ms; `None` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMs>,
    /// Whether it may be used.
    #[serde(default)]
    pub state: TokenState,
    /// When this secret ends because another took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ends_at: Option<UnixMs>,
    /// Networks that may call; empty means any.
    #[serde(default, deserialize_with = "readable_allow_list", skip_serializing_if = "Vec::is_empty")]
    pub ip_allow: Vec<IpNet>,
    /// The token's own limits, and its team's for each that it lacks.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Limits of the AI tokens and money that the team's tokens use together.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub team_budget: Limits,
    /// The team's time zone: its days, weeks and months count.
    #[serde(default, skip_serializing_if = "Zone::is_utc")]
    pub zone: Zone,
    /// Whether its calls may ask for faults, to test a workflow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inject_faults: bool,
    /// Whether other tokens may be derived from it. Without it, those that were derived before are refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_derive: bool,
    /// Version of the token's row in D1 when the record was made.
    pub version: u64,
}

impl TokenRecord {
    /// The version that is written.
    pub const VERSION: u8 = 2;

    /// Whether AI tokens or money are limited, by the token or by its team.
    pub fn has_budget(&self) -> bool {
        self.limits.has_budget() || self.team_budget.has_budget()
    }

    /// Whether a call that may use `ask` must be counted. Budgets never bound one that costs nothing.
    pub fn counts(&self, ask: Ask) -> bool {
        self.limits.counts_calls() || (!ask.is_zero() && self.has_budget())
    }

    /// Returns the fate of calls while the counter cannot be reached.
    pub fn on_limit_failure(&self) -> OnLimitFailure {
        let by_default =
            if self.team_budget.has_budget() { OnLimitFailure::Deny } else { self.limits.on_failure() };
        self.limits.on_limit_failure.unwrap_or(by_default)
    }

    /// Returns the question to the token's ledger whether a call may go on. Without the call's id it only brings the
    /// wish.
    pub fn take(&self, call: &str, ask: Ask, wish: Option<Wish>) -> Take {
        let budget =
            || TeamBudget { id: self.team.clone(), token: self.id.clone(), limits: self.team_budget.clone() };
        Take {
            call: call.to_owned(),
            limits: self.limits.clone(),
            ask,
            zone: self.zone,
            team: self.team_budget.has_budget().then(budget),
            wish,
            version: self.version,
        }
    }

    /// Fields that this version knows. A newer one that adds a field which narrows what a token may do
    /// writes `"critical": ["its_name"]` beside it, and versions without it here refuse the token.
    pub(crate) const FIELDS: [&str; 16] = [
        "v",
        "id",
        "name",
        "team",
        "scopes",
        "cap",
        "expires_at",
        "state",
        "secret_ends_at",
        "ip_allow",
        "limits",
        "team_budget",
        "zone",
        "inject_faults",
        "may_derive",
        "version",
    ];
}
